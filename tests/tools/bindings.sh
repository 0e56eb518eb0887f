#!/bin/sh
# Write what is committed about the built library: bindings/symbols.txt and
# bindings/abi/<arch>.abi. `make bindings` calls it after api.py --write.
set -eu
cd "$(dirname "$0")/../.."
BUILD=${BUILD:-build/release}
. tests/tools/symbols.sh
so=$(ls "$BUILD"/libdecai.so.*.*.*)
exported "$so" >bindings/symbols.txt
echo "bindings/symbols.txt: $(wc -l <bindings/symbols.txt) functions"
if command -v abidw >/dev/null; then
    mkdir -p bindings/abi
    sh tests/tools/abidw.sh "$so" >"bindings/abi/$(uname -m).abi"
    echo "bindings/abi/$(uname -m).abi: $(wc -l <"bindings/abi/$(uname -m).abi") lines"
else
    echo "bindings/abi: not written, install abigail-tools" >&2
fi
