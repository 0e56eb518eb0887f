#!/bin/sh
# TAP. The built library exports exactly bindings/symbols.txt, and its ABI is the
# committed one. Controls on a library of the base room alone: a private field
# must pass, a changed parameter and a grown public struct must not.
set -u
cd "$(dirname "$0")/../.."
BUILD=${BUILD:-build/release}
CC=${CC:-cc}
. tests/tools/tap.sh
. tests/tools/symbols.sh
so=$(ls "$BUILD"/libdecai.so.*.*.* 2>/dev/null | head -n 1)
tmp=$(mktemp -d) || exit 2
trap 'rm -rf "$tmp"' EXIT
compare() { abidiff --suppressions tests/tools/abi.supp "$1" "$2"; }
has_debug_info() { readelf -S -W "$1" | grep -q ' \.debug_info '; }

check "the library is built" test -n "$so"
exported "$so" >"$tmp/symbols"
check "exported symbols are bindings/symbols.txt, all in node DECAI_0 (else: make bindings)" \
    diff bindings/symbols.txt "$tmp/symbols"
check_fails "every exported symbol is a decai_ name in one node" grep -v '^decai_[a-z0-9_]* DECAI_0$' "$tmp/symbols"
sed 1d "$tmp/symbols" >"$tmp/fewer"
check_fails "control: one symbol less is seen" diff bindings/symbols.txt "$tmp/fewer"
check "the library carries .debug_info, without which abidiff sees nothing" has_debug_info "$so"

name="the ABI is bindings/abi/$(uname -m).abi (else: make bindings)"
if ! command -v abidiff >/dev/null; then
    skip "$name" "abigail-tools is not installed"
    tap_end; exit
elif [ ! -f "bindings/abi/$(uname -m).abi" ] && [ "$(uname -m)" != x86_64 ]; then
    skip "$name" "no committed ABI for $(uname -m)"
else
    check "$name" compare "bindings/abi/$(uname -m).abi" "$so"
fi

# ---- controls: libraries of the base room, one of them changed --------------
# build NAME: $tmp/NAME/{include,lib} into $tmp/NAME.so
build() {
    (cd "$tmp/$1" && $CC -std=c11 -D_POSIX_C_SOURCE=200809L -O0 -g -fPIC -shared -pthread -fvisibility=hidden \
        -ffile-prefix-map="$tmp/$1=." -Iinclude -Ilib -I"$gen" -o "$tmp/$1.so" lib/base/*.c \
        -Wl,-soname,libdecai.so.0 -Wl,--version-script,"$map" -ldl)
}
gen=$(cd "$BUILD/gen" && pwd) map=$(cd "$BUILD" && pwd)/decai.map
# A public struct, so that growing one can be tried: the library has none that may grow.
pod='\
typedef struct decai_pod { int32_t a; } decai_pod;\
DECAI_API int32_t decai_pod_get(decai_pod *pod);'
for variant in plain private signature public; do
    mkdir -p "$tmp/$variant"
    cp -r include "$tmp/$variant/"; mkdir -p "$tmp/$variant/lib"; cp -r lib/base "$tmp/$variant/lib/"
    sed -i "s|^/\* ---- versions .*|$pod|" "$tmp/$variant/include/decai/base.h"
    printf '#include "decai/base.h"\nint32_t decai_pod_get(decai_pod *pod) { return pod->a; }\n' >"$tmp/$variant/lib/base/pod.c"
done
sed -i 's/^struct decai_context {/&\n    long planted;/' "$tmp/private/lib/base/context.h"
sed -i 's/decai_task_fd(decai_task \*task, int32_t \*fd)/decai_task_fd(decai_task *task, int64_t *fd)/; s/^decai_task_fd(decai_task \*task, int32_t \*fd)/decai_task_fd(decai_task *task, int64_t *fd)/' \
    "$tmp/signature/include/decai/base.h" "$tmp/signature/lib/base/api.c"
sed -i 's/int32_t a; }/int32_t a; int32_t planted; }/' "$tmp/public/include/decai/base.h"
changed() { ! cmp -s "$tmp/plain/$2" "$tmp/$1/$2"; }
for variant in plain private signature public; do
    check "control library builds: $variant" build "$variant"
done
check "controls are planted" eval 'changed private lib/base/context.h && changed signature include/decai/base.h &&
    changed signature lib/base/api.c && changed public include/decai/base.h'
check "control: a private field passes" compare "$tmp/plain.so" "$tmp/private.so"
check_fails "control: the same private field is seen without the suppression" abidiff "$tmp/plain.so" "$tmp/private.so"
check_fails "control: a changed parameter type is seen" compare "$tmp/plain.so" "$tmp/signature.so"
check_fails "control: a grown public struct is seen" compare "$tmp/plain.so" "$tmp/public.so"
sh tests/tools/abidw.sh "$tmp/plain.so" >"$tmp/plain.abi"
check "control: a private field passes against the written form" compare "$tmp/plain.abi" "$tmp/private.so"
check_fails "control: a changed parameter is seen against the written form" compare "$tmp/plain.abi" "$tmp/signature.so"
tap_end
