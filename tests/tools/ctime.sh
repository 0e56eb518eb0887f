#!/bin/sh
# TAP. Constant time: each case of tests/tools/ctime_*.c under Valgrind, with its
# secrets poisoned. Any report whose top frame is not in libsecp256k1 fails. The
# leaky control must be reported.
set -u
cd "$(dirname "$0")/../.."
. tests/tools/tap.sh
BUILD=${BUILD:-build/release} CC=${CC:-cc}
if ! command -v valgrind >/dev/null || ! echo '#include <valgrind/memcheck.h>' | $CC -E -x c - >/dev/null 2>&1; then
    skip "constant time under valgrind" "valgrind is not installed"
    tap_end; exit
fi
tmp=$(mktemp -d) || exit 2
trap 'rm -rf "$tmp"' EXIT
rooms= wraps=
for f in tests/tools/ctime_*.c; do
    [ -f "$f" ] || continue
    room=${f#tests/tools/ctime_}
    rooms="$rooms row(${room%.c})"
    wraps="$wraps $(sed -n 's/^.*__wrap_\([a-z0-9_]*\)(.*$/-Wl,--wrap=\1/p' "$f" | sort -u | tr '\n' ' ')"
done
build() {
    # shellcheck disable=SC2086,SC2046
    $CC -std=c11 -D_POSIX_C_SOURCE=200809L -O2 -g -Wall -Wextra -Werror -Wno-missing-field-initializers -Iinclude -Ilib -Itests/tools \
        "-DCTIME_ROOMS(row)=$rooms" -o "$tmp/ctime" tests/tools/ctime.c $(ls tests/tools/ctime_*.c 2>/dev/null) $wraps \
        "$BUILD/libdecai.a" -pthread $(pkg-config --libs libcrypto libsecp256k1 libcjson OpenCL sqlite3) -lm -ldl
}
run() { valgrind -q --error-exitcode=9 --suppressions=tests/tools/ctime.supp "$tmp/ctime" "$1"; }
leaks() { run "$1" >"$tmp/log" 2>&1; [ $? = 9 ] && grep -q 'depends on uninitialised' "$tmp/log"; }
check "the cases build" build
for case in $("$tmp/ctime" --list); do
    case $case in
    control-leaky) check "control: a branch on a secret is reported" leaks "$case" ;;
    control-clean) check "control: work on a secret without a branch is not reported" run "$case" ;;
    *) check "constant time: $case" run "$case" ;;
    esac
done
tap_end
