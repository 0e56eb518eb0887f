#!/bin/sh
# Run the gates and the test programs; the last line is the count.
#   make check | check-unit | check-deep     (they build first, then call this)
#   sh tests/tools/check.sh [unit|deep] [NAME...]    NAME: part of a program's or gate's name
set -eu
cd "$(dirname "$0")/../.."
exec "${PYTHON:-python3}" tests/tools/check.py "$@"
