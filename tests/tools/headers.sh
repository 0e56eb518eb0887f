#!/bin/sh
# TAP. Each public header compiles alone, as C99 and as C++17, with no warning.
set -u
cd "$(dirname "$0")/../.."
. tests/tools/tap.sh
CC=${CC:-cc}
CXX=${CXX:-}
[ -n "$CXX" ] || for c in c++ g++ clang++ clang++-14; do command -v $c >/dev/null && { CXX=$c; break; }; done
tmp=$(mktemp -d) || exit 2
trap 'rm -rf "$tmp"' EXIT
warn="-Werror -Wall -Wextra -pedantic -fsyntax-only"
as_c() { printf '#include "%s"\nint main(void);\n' "$1" >"$tmp/x.c"; $CC -std=c99 $warn -Wstrict-prototypes -Wundef -I"$2" "$tmp/x.c"; }
as_cxx() { printf '#include "%s"\n' "$1" >"$tmp/x.cc"; $CXX -x c++ -std=c++17 $warn -Wundef -I"$2" "$tmp/x.cc"; }
for h in decai.h $(cd include && ls decai/*.h); do
    check "$h alone as C99" as_c "$h" include
    if [ -n "$CXX" ]; then check "$h alone as C++17" as_cxx "$h" include
    else skip "$h alone as C++17" "no C++ compiler"; fi
done
cp -r include "$tmp/"
echo 'int decai_planted();' >>"$tmp/include/decai/base.h"
check_fails "control: a prototype without parameters is refused as C99" as_c decai/base.h "$tmp/include"
cp include/decai/base.h "$tmp/include/decai/base.h"
sed -i 's/size_t cap/size_t class/; s/int32_t code/int32_t class/' "$tmp/include/decai/base.h"
[ -z "$CXX" ] || check_fails "control: a C++ keyword as a name is refused" as_cxx decai/base.h "$tmp/include"
tap_end
