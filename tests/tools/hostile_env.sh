#!/bin/sh
# TAP. The environment must not reach the library, nor the libraries it uses:
# programs run once in an empty environment and once in a hostile one, and must
# print the same. LD_* is left out: it is the loader's, before any code of ours.
#
# What is run: every tests/api program but the sweep, compared by its TAP lines,
# and the rows "program | filter" of tests/tools/hostile_env.txt, compared whole;
# the filter (a sed script) takes out what may differ between two runs.
set -u
cd "$(dirname "$0")/../.."
. tests/tools/tap.sh
BUILD=${BUILD:-build/release} CC=${CC:-cc}
tmp=$(mktemp -d) || exit 2
trap 'rm -rf "$tmp"' EXIT
mkdir -p "$tmp/home" "$tmp/cl"
for f in .netrc .pgpass .pg_service.conf .sqliterc .curlrc; do echo 'garbage { [' >"$tmp/home/$f"; done
echo 'openssl_conf = broken_section' >"$tmp/openssl.cnf"
printf '[broken_section]\nproviders = nowhere\n' >>"$tmp/openssl.cnf"
# The ICD loader and PoCL are told where to look in both runs: a host may need that.
keep="PATH=$PATH CMOCKA_MESSAGE_OUTPUT=TAP BUILD=$BUILD POCL_CACHE_DIR=$tmp/cl DECAI_VECTORS=${DECAI_VECTORS:-../shared/vectors}"
quiet() { env -i $keep HOME="$tmp" "$@" </dev/null 2>&1; }
hostile() {
    env -i $keep HOME="$tmp/home" LANG=tr_TR.UTF-8 LC_ALL=tr_TR.UTF-8 LC_NUMERIC=de_DE.UTF-8 LANGUAGE=tr TZ=Asia/Kathmandu \
        OPENSSL_CONF="$tmp/openssl.cnf" OPENSSL_MODULES=/nonexistent OPENSSL_ENGINES=/nonexistent SSL_CERT_FILE=/nonexistent \
        SSL_CERT_DIR=/nonexistent OPENSSL_ia32cap=:0 SQLITE_TMPDIR=/nonexistent \
        PGHOST=203.0.113.1 PGPORT=1 PGUSER=nobody PGPASSWORD=wrong PGSERVICE=broken PGSERVICEFILE="$tmp/home/.pg_service.conf" \
        PGPASSFILE="$tmp/home/.pgpass" PGSSLMODE=verify-full PGOPTIONS=-cbroken PGCLIENTENCODING=LATIN5 PGTZ=Asia/Kathmandu \
        http_proxy=http://203.0.113.1:1 https_proxy=http://203.0.113.1:1 HTTPS_PROXY=http://203.0.113.1:1 ALL_PROXY=socks5://203.0.113.1:1 \
        NETRC="$tmp/home/.netrc" CURL_HOME="$tmp/home" CURL_CA_BUNDLE=/nonexistent SSLKEYLOGFILE="$tmp/keys" \
        POCL_MAX_PTHREAD_COUNT=1 POCL_WORK_GROUP_METHOD=auto MALLOC_PERTURB_=165 GCONV_PATH=/nonexistent \
        DECAI_SEED=1 DECAI_DEBUG=1 DECAI_LIBRARY=/nonexistent OMP_NUM_THREADS=999 "$@" </dev/null 2>&1
}
# same PROGRAM FILTER: equal output and status in both environments
same() {
    # shellcheck disable=SC2086
    quiet $1 >"$tmp/a"; a=$?
    # shellcheck disable=SC2086
    hostile $1 >"$tmp/b"; b=$?
    sed "$2" "$tmp/a" >"$tmp/a2"; sed "$2" "$tmp/b" >"$tmp/b2"
    [ $a = $b ] || { echo "status $a in an empty environment, $b in a hostile one"; tail -n 5 "$tmp/b"; return 1; }
    diff "$tmp/a2" "$tmp/b2"
}
for source in tests/api/*_test.c; do
    name=$(basename "$source" .c)
    grep -q "^!$name\$" tests/tools/hostile_env.txt && continue
    if [ -x "$BUILD/tests/api/$name" ]; then
        check "api/$name runs the same in a hostile environment" same "$BUILD/tests/api/$name" \
            '/^\(not \)\{0,1\}ok [0-9]/!d'
    else not_ok "api/$name runs the same in a hostile environment" "it is not built"; fi
done
while IFS='|' read -r program filter; do
    program=$(echo "$program" | sed "s|^ *||; s| *\$||; s|@BUILD@|$BUILD|g; s|@TMP@|$tmp|g")
    case $program in ''|'#'*|'!'*) continue ;; esac
    set -- $program
    if [ ! -x "$1" ]; then not_ok "$program runs the same in a hostile environment" "it is not built"; continue; fi
    check "$program runs the same in a hostile environment" same "$program" "$filter"
done <tests/tools/hostile_env.txt
check "no TLS keys were written for an eavesdropper" test ! -e "$tmp/keys"

# Control: a program that reads one variable and formats by locale.
cat >"$tmp/leak.c" <<'C'
#include <stdio.h>
#include <stdlib.h>
int main(void) { printf("%s\n", getenv("TZ") ? getenv("TZ") : ""); return 0; }
C
check "control builds" $CC -o "$tmp/leak" "$tmp/leak.c"
check_fails "control: a program that reads the environment is found" same "$tmp/leak" ''
tap_end
