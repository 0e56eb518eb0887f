#!/bin/sh
# The ABI of one library as text that does not depend on where it was built:
# no paths, no build id, types named by what they are.
exec abidw --no-corpus-path --no-comp-dir-path --type-id-style hash \
    --exported-interfaces-only "$1"
