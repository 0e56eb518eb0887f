# symbols.sh - sourced: `exported SO` prints the decai functions that a library
# exports, each with its version node, sorted.
exported() {
    "${NM:-nm}" -D --defined-only "$1" | sed -n 's/^[0-9a-f]* [TWi] \(.*\)$/\1/p' | sed 's/@@*/ /' | LC_ALL=C sort
}
