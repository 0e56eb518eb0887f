# tap.sh - sourced by gates written in sh. check "name" command... runs the
# command and prints its TAP line; tap_end prints the plan and gives the status.
tap_n=0
tap_bad=0
ok() { tap_n=$((tap_n + 1)); echo "ok $tap_n - $1"; }
not_ok() {
    tap_n=$((tap_n + 1)); tap_bad=$((tap_bad + 1)); echo "not ok $tap_n - $1"
    [ $# -lt 2 ] || printf '%s\n' "$2" | sed 's/^/# /'
}
skip() { tap_n=$((tap_n + 1)); echo "ok $tap_n - $1 # SKIP $2"; }
check() {
    tap_name=$1; shift
    if tap_out=$("$@" 2>&1); then ok "$tap_name"; else not_ok "$tap_name" "$tap_out"; fi
}
# The planted control: the command must fail.
check_fails() {
    tap_name=$1; shift
    if tap_out=$("$@" 2>&1); then not_ok "$tap_name" "the command passed: $*"; else ok "$tap_name"; fi
}
tap_end() { echo "1..$tap_n"; [ "$tap_bad" = 0 ]; }
