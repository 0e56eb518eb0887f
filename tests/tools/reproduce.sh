#!/bin/sh
# TAP. The same sources give the same bytes: two builds in two paths, with two
# umasks, time zones, locales, clocks and -j, must give equal .so, .a and wheel.
# (Paths without spaces: make cannot take those.) By default with -O0 to stay short; DECAI_DEEP=1 takes the release flags.
set -u
cd "$(dirname "$0")/../.."
. tests/tools/tap.sh
PYTHON=${PYTHON:-python3} CC=${CC:-cc}
tmp=$(mktemp -d) || exit 2
trap 'rm -rf "$tmp"' EXIT
unset MAKEFLAGS MFLAGS MAKELEVEL BUILD MODE
export SOURCE_DATE_EPOCH=1700000000
flags=
[ -n "${DECAI_DEEP:-}" ] || flags='CFLAGS_release=-O0 -g'
what="release flags"; [ -z "$flags" ] || what="-O0 -g; DECAI_DEEP=1 for the release flags"

# copy PATH: the sources as they are, without what was built
copy() { mkdir -p "$1" && tar cf - --exclude=__pycache__ $(ls -d Makefile include lib kernels bindings pkgconfig 2>/dev/null) | tar xf - -C "$1"; }
wheel() { "$PYTHON" -B -c 'import sys; sys.path.insert(0, "."); import decai_build; print(decai_build.build_wheel("../.."))'; }
# one PATH UMASK ZONE LOCALE JOBS
one() {
    (umask "$2" && copy "$1" && cd "$1" && export TZ="$3" LC_ALL="$4" && make -s -j"$5" CC="$CC" ${flags:+"$flags"} lib &&
        cd bindings/python && wheel)
}
check "build in one place ($what)" one "$tmp/a" 022 UTC C 1
check "build in another path, umask, time zone and locale, with -j2" one "$tmp/another/longer/path" 077 Asia/Kathmandu C.UTF-8 2
for file in build/release/libdecai.so.*.*.* build/release/libdecai.a *.whl; do
    # shellcheck disable=SC2086
    name=$(cd "$tmp/a" && ls $file 2>/dev/null)
    check "equal bytes: ${name:-$file}" cmp "$tmp/a/$name" "$tmp/another/longer/path/$name"
done
echo '/* a change */ int decai__planted(void); int decai__planted(void) { return 1; }' >>"$tmp/a/lib/base/error.c"
one_more() { (cd "$tmp/a" && make -s CC="$CC" ${flags:+"$flags"} lib); }
check "control: the tree with one more function builds" one_more
check_fails "control: one more function is seen in the .a" cmp "$tmp/a/build/release/libdecai.a" "$tmp/another/longer/path/build/release/libdecai.a"
tap_end
