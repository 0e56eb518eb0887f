#!/bin/sh
# TAP. What a user of the library does: make install into an empty folder, find
# it with pkg-config, link shared and static, run; install the Python package in
# a fresh environment without a network; uninstall leaves nothing.
set -u
cd "$(dirname "$0")/../.."
. tests/tools/tap.sh
BUILD=${BUILD:-build/release} MODE=${MODE:-release} CC=${CC:-cc} PYTHON=${PYTHON:-python3}
tmp=$(mktemp -d) || exit 2
trap 'rm -rf "$tmp"' EXIT
dest=$tmp/dest prefix=/opt/decai
# Called from make check: its flags would reach the inner make.
unset MAKEFLAGS MFLAGS MAKELEVEL
quiet_make() { make --no-print-directory BUILD="$BUILD" MODE="$MODE" DESTDIR="$dest" prefix=$prefix "$@"; }

check "make install into an empty folder" quiet_make install
check "nothing outside the prefix" test "$(ls "$dest")" = opt
export PKG_CONFIG_PATH="$dest$prefix/lib/pkgconfig:${PKG_CONFIG_PATH:-}"
check "the .pc file names the prefix it was installed to" test "$(pkg-config --variable=prefix libdecai)" = "$prefix"
cat >"$tmp/user.c" <<'C'
#include <decai.h>
#include <string.h>
int main(void)
{
    decai_context *context;
    int32_t r = decai_context_create(&context, 0);
    decai_destroy(context);
    return r || !strcmp(decai_version(), "") ? 1 : 0;
}
C
flags() { pkg-config --define-variable=prefix="$dest$prefix" "$@" libdecai; }
# shellcheck disable=SC2046
link_shared() { $CC -std=c99 -Wall -Werror -o "$tmp/shared" "$tmp/user.c" $(flags --cflags --libs) -Wl,-rpath,"$dest$prefix/lib" && "$tmp/shared"; }
# The archive with shared libraries around it: --static would ask for theirs as well.
# shellcheck disable=SC2046
link_static() { $CC -std=c99 -o "$tmp/static" "$tmp/user.c" $(flags --cflags) \
    -Wl,-Bstatic "-L$dest$prefix/lib" -ldecai -Wl,-Bdynamic \
    $(pkg-config --libs $(pkg-config --print-requires-private libdecai)) -lm -ldl -pthread && "$tmp/static"; }
check "a program finds it with pkg-config, links and runs" link_shared
check "a program links the archive and runs" link_static
version=$(pkg-config --modversion libdecai 2>/dev/null)
check "pkg-config's version is the header's" test "$version" = "$("$PYTHON" -c '
import re; t = open("include/decai/base.h").read()
print(".".join(re.search("DECAI_VERSION_%s (.*)" % p, t).group(1) for p in ("MAJOR", "MINOR", "PATCH")))')"
if [ -x "$dest$prefix/bin/decai" ]; then
    check "the installed command runs" "$dest$prefix/bin/decai" --help
fi
check "make uninstall" quiet_make uninstall
left=$(find "$dest" -type f -o -type l)
check "uninstall leaves no file" test -z "$left"

venv() { "$PYTHON" -m venv "$tmp/venv" && "$tmp/venv/bin/python" -m pip --version; }
pip_install() { "$tmp/venv/bin/python" -m pip install -q --no-index --no-cache-dir --disable-pip-version-check bindings/python; }
uses() { (cd / && env -u DECAI_LIBRARY -u PYTHONPATH "$tmp/venv/bin/python" -c '
import decai, os
assert decai.library_path.startswith(os.path.dirname(decai.__file__)), decai.library_path
with decai.Context() as c: print(decai.version(), c)'); }
check "a fresh Python environment" venv
check "pip install bindings/python, without a network" pip_install
check "import decai uses the library inside the package" uses
left=$(ls -d bindings/python/build bindings/python/*.egg-info 2>/dev/null)
check "the install leaves nothing in the tree" test -z "$left"
tap_end
