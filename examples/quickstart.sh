#!/bin/sh
# From nothing to a real job: install what building needs, build, run the demo.
#
#   sh examples/quickstart.sh                the whole thing
#   sh examples/quickstart.sh --packages     only print the packages it needs
#   sh examples/quickstart.sh --json ...     arguments go to `decai demo`
#
# apt is used where it is there; elsewhere the list of packages is printed. Root
# or a sudo that asks nothing is used to install; nothing else needs either. With
# the packages there it needs no network. `make clean` and removing decai-demo/
# undo everything but the packages.
set -eu
cd "$(dirname "$0")/.."

packages="gcc libc6-dev make pkg-config libssl-dev libsecp256k1-dev libcjson-dev ocl-icd-opencl-dev libsqlite3-dev pocl-opencl-icd"
optional="libmicrohttpd-dev"     # for decai serve
if [ "${1:-}" = --packages ]; then
    echo "$packages $optional"
    exit 0
fi
start=$(date +%s)

installed() {
    case $(dpkg-query -W -f '${Status}' "$1" 2>/dev/null || true) in *" installed") return 0 ;; esac
    return 1
}
say() { echo "quickstart: $*" >&2; }

missing=
if command -v dpkg-query >/dev/null 2>&1; then
    for p in $packages; do installed "$p" || missing="$missing $p"; done
else
    say "this is no Debian or Ubuntu: please have the likes of these installed: $packages"
fi

if [ -n "$missing" ]; then
    as=
    if [ "$(id -u)" != 0 ]; then
        if command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
            as="sudo -n"
        else
            say "these packages are missing, and installing them needs root:"
            say "    apt-get install$missing"
            exit 1
        fi
    fi
    say "installing$missing"
    log=$(mktemp)
    if ! { $as apt-get update -qq && DEBIAN_FRONTEND=noninteractive $as apt-get install -y -qq --no-install-recommends $missing; } >"$log" 2>&1; then
        tail -n 20 "$log" >&2
        rm -f "$log"
        say "apt-get could not install$missing"
        exit 1
    fi
    rm -f "$log"
fi

# What is optional comes along where it may be installed, and is not missed elsewhere.
for p in $optional; do
    if command -v dpkg-query >/dev/null 2>&1 && ! installed "$p"; then
        say "installing $p"
        { [ "$(id -u)" = 0 ] && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$p" >/dev/null 2>&1; } ||
            sudo -n env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$p" >/dev/null 2>&1 ||
            say "without $p: decai serve will not be there"
    fi
done

say "building ($(( $(date +%s) - start )) s so far)"
make -j"$(nproc 2>/dev/null || echo 2)" all >/dev/null
say "the demo ($(( $(date +%s) - start )) s so far)"
build/release/decai demo "$@"
say "done in $(( $(date +%s) - start )) s; build/release/decai --help shows what else there is"
