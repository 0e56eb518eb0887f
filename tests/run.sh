#!/bin/sh
# Everything a newcomer needs to see the tests pass: install what is missing,
# build, run every gate and test, then run the tests again under sanitizers.
#   sh tests/run.sh             the whole run, under 15 minutes on two cores
#   sh tests/run.sh --packages  only print the packages it would install
# With the packages there it needs no network. The last line is the total.
set -u
cd "$(dirname "$0")/.." || exit 2
start=$(date +%s)
budget=${DECAI_TEST_BUDGET:-840}   # seconds after which no further sanitizer run starts

# What building needs, what the gates need, and the OpenCL device of the tests.
packages="gcc libc6-dev make pkg-config libssl-dev libsecp256k1-dev libcjson-dev ocl-icd-opencl-dev libsqlite3-dev
python3 python3-venv python3-pip python3-jinja2 libcmocka-dev libmicrohttpd-dev openssl pocl-opencl-icd clang abigail-tools valgrind binutils"
[ "${1:-}" != --packages ] || { echo $packages; exit 0; }

missing=
if command -v dpkg-query >/dev/null; then
    for p in $packages; do
        case $(dpkg-query -W -f '${Status}' "$p" 2>/dev/null) in *" installed") ;; *) missing="$missing $p" ;; esac
    done
fi
if [ -n "$missing" ]; then
    as=
    if [ "$(id -u)" != 0 ]; then
        if command -v sudo >/dev/null && sudo -n true 2>/dev/null; then as="sudo -n"; else as=none; fi
    fi
    if [ "$as" = none ] || ! command -v apt-get >/dev/null; then
        echo "run.sh: please install these packages first:$missing" >&2
    else
        echo "run.sh: installing:$missing"
        # shellcheck disable=SC2086
        { $as apt-get update -qq && DEBIAN_FRONTEND=noninteractive $as apt-get install -y -qq --no-install-recommends $missing; } \
            >/tmp/decai-apt.$$ 2>&1 || { tail -n 20 /tmp/decai-apt.$$; echo "run.sh: apt-get could not install:$missing" >&2; }
        rm -f /tmp/decai-apt.$$
    fi
elif ! command -v dpkg-query >/dev/null; then
    echo "run.sh: this is no Debian; it is taken for granted that the likes of these are there: $packages"
fi

# What others wrote, for the tests that compare with it; they skip without it.
# It comes while the library is built, and is not missed where there is no network.
peers="gguf openai tokenizers tiktoken sentencepiece"
(
    [ "$(cat build/peers/ready 2>/dev/null)" != "$peers" ] || exit 0
    mkdir -p build && python3 -m venv build/peers && build/peers/bin/python -m pip install -q --disable-pip-version-check $peers \
        && echo "$peers" >build/peers/ready
) >/dev/null 2>&1 &

jobs=$(nproc 2>/dev/null || echo 2)
passed=0 failed=0 skipped=0
# stage MODE TARGET: build and run, add the counts that check.py left behind.
stage() {
    counts=build/$1/check.txt
    mkdir -p "build/$1"; rm -f "$counts"
    echo "== MODE=$1: build, then $2 ($(( $(date +%s) - start )) s so far)"
    if ! make -j"$jobs" MODE="$1" test-programs >"build/$1/make.log" 2>&1; then
        tail -n 40 "build/$1/make.log"
        echo "the build failed; the whole log is build/$1/make.log"
        failed=$((failed + 1)); return
    fi
    wait    # for the peers
    DECAI_CHECK_LABEL=$1 DECAI_CHECK_COUNTS=$counts make --no-print-directory MODE="$1" "$2"
    if [ -f "$counts" ]; then
        read -r p f s <"$counts"
        passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
    else
        echo "MODE=$1: $2 ended without counts"; failed=$((failed + 1))
    fi
}

stage release check
# asan is built with the undefined-behaviour checks as well.
for mode in asan tsan; do
    if [ $(( $(date +%s) - start )) -lt "$budget" ]; then stage $mode check-unit
    else echo "== MODE=$mode: not run, the $budget seconds of this run are over"; fi
done
echo "run.sh: $(( $(date +%s) - start )) seconds"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
