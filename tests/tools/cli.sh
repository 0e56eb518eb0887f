#!/bin/sh
# TAP. The decai command, as people and scripts use it: exit codes (0 done, 1
# checked and wrong, 2 wrong usage, 3 could not be done), clean output under
# --json, the demo's result, one seed giving one set of receipts on every
# backend, and a byte changed in a receipt being noticed.
set -u
cd "$(dirname "$0")/../.."
. tests/tools/tap.sh
BUILD=${BUILD:-build/release} PYTHON=${PYTHON:-python3}
decai=$BUILD/decai
model=examples/model/decai-actions.q8_0.gguf
prompt='please send 25 usdc to Maria'
tmp=$(mktemp -d) || exit 2
trap 'rm -rf "$tmp"' EXIT
demo=$tmp/demo honest=$tmp/demo/receipt-cirrus.cbor cheat=$tmp/demo/receipt-aurora.cbor

# gives CODE TEXT command...: the exit status, and TEXT on stderr or stdout
gives() {
    want=$1 text=$2; shift 2
    "$@" >"$tmp/out" 2>"$tmp/err" </dev/null; got=$?
    [ $got = "$want" ] || { echo "exit status $got, not $want: $*"; cat "$tmp/err"; return 1; }
    grep -qF -e "$text" "$tmp/out" "$tmp/err" || { echo "no \"$text\" from: $*"; head -n 5 "$tmp/out" "$tmp/err"; return 1; }
}
# one_json CODE command...: exactly one JSON value on stdout, nothing on stderr
one_json() {
    want=$1; shift
    "$@" >"$tmp/json" 2>"$tmp/err" </dev/null; got=$?
    [ $got = "$want" ] || { echo "exit status $got, not $want"; cat "$tmp/err"; return 1; }
    [ ! -s "$tmp/err" ] || { echo "on stderr:"; cat "$tmp/err"; return 1; }
    "$PYTHON" -m json.tool "$tmp/json" >/dev/null
}
# json_is FILE EXPRESSION of d
json_is() { "$PYTHON" -c "import json,sys; d=json.load(open(sys.argv[1])); assert $2, d" "$1"; }

check "the shipped model is there" test -r $model

# ---- help, usage ---------------------------------------------------------------
for c in "" demo run chat serve verify inspect perplexity embed bench tokenize detokenize tokenizer devices; do
    # shellcheck disable=SC2086
    check "decai $c --help" gives 0 usage $decai $c --help
done
check "--version" gives 0 "decai 0." $decai --version
check "no command is wrong usage" gives 2 usage $decai
check "an unknown command is named" gives 2 '"fly"' $decai fly
check "an unknown option is named" gives 2 "--fly: unknown option; see decai run --help" $decai run $model x --fly
check "an option without its value" gives 2 "--seed: needs its value N" $decai demo --seed
check "a bad number names option, value and bounds" gives 2 '--max-tokens: "0" is not a whole number from 1 to' $decai run $model x --max-tokens 0
check "a prompt longer than the context" gives 3 "prompt: DECAI_E_LIMIT: infer.context" $decai run $model "$(printf %4000s x | tr " " x)"
printf '{"type":"object","properties":{"token":{"enum":["usdc","eth"]},"amount":{"type":"integer","minimum":1,"maximum":99}},"required":["token","amount"]}' >"$tmp/schema.json"
printf 'root ::= "yes" | "no"' >"$tmp/yes.gbnf"
schema_run() {
    one_json 0 $decai run $model "$prompt" --json --schema "$tmp/schema.json" --receipt "$tmp/schema.cbor" --temperature 1 --seed "$1" &&
        json_is "$tmp/json" 'json.loads(d["text"])["token"] in ("usdc", "eth") and 1 <= json.loads(d["text"])["amount"] <= 99'
}
check "an answer under a JSON Schema" schema_run 1
check "and with another seed" schema_run 2
check "its receipt, replayed" gives 0 "" $decai verify "$tmp/schema.cbor" --model $model
check "an answer under a grammar" gives 0 "" $decai run $model "$prompt" --grammar "$tmp/yes.gbnf"
check "which is of the grammar" grep -qx -e yes -e no "$tmp/out"
check "a schema and a grammar" gives 2 "one of them" $decai run $model x --grammar "$tmp/yes.gbnf" --schema "$tmp/schema.json"
check "a keyword that is not built is named" gives 3 "#/not" sh -c "echo '{\"not\":{}}' >'$tmp/not.json'; $decai run $model x --schema '$tmp/not.json'"
check "not a number" gives 2 '--temperature: "nan" is not a number from 0 to 100' $decai run $model x --temperature nan
check "no such backend" gives 2 '--backend: "abacus"' $decai run $model x --backend abacus
check "a flag takes no value" gives 2 "--json: takes no value" $decai devices --json=1
check "too few names" gives 2 "run takes" $decai run $model

case $($decai serve --help) in *libmicrohttpd*) ;; *)
check "serve: a bad number" gives 2 '--port: "70000" is not a whole number from 0 to 65535' $decai serve --port 70000
check "serve: half of TLS" gives 2 "--cert and --key go together" $decai serve --cert x
check "serve: an origin that is none" gives 2 '--cors: "example.org" is no origin' $decai serve --cors example.org
check "serve: no keys in the file" gives 2 "/dev/null has none" $decai serve --api-keys /dev/null ;;
esac

# ---- template ---------------------------------------------------------------------
printf '{%%- for m in messages %%}<{{ m.role }}>{{ m.content }}{%% endfor %%}{{ strftime_now("%%Y") }}\n' >"$tmp/t.jinja"
printf '[{"role": "user", "content": "h\303\251"}]' >"$tmp/c.json"
check "template prints the rendering" gives 0 "<user>h" $decai template --file "$tmp/t.jinja" --time 0 "$tmp/c.json"
check "and nothing else" test "$(od -An -tx1 "$tmp/out" | tr -d ' \n')" = 3c757365723e68c3a931393730
printf 'a\n{{ messages[0].x.y }}' >"$tmp/bad.jinja"
check "template names line and expression" gives 3 'line 2: `messages[0].x.y`' $decai template --file "$tmp/bad.jinja" "$tmp/c.json"
check "the shipped model's own template" gives 0 "h" $decai template --model $model "$tmp/c.json"
check "run --chat answers as run does" gives 0 '"action":"transfer"' $decai run $model "$prompt" --chat

# ---- tokenizers -------------------------------------------------------------------
printf 'send 25 usdc to Maria\n' >"$tmp/text"
$decai tokenize --model $model --ids "$tmp/text" --no-special >"$tmp/ids"
check "tokenize prints one line of ids" test "$(wc -l <"$tmp/ids")" = 1
$decai detokenize --model $model "$tmp/ids" >"$tmp/back"
check "detokenize gives the text again" cmp "$tmp/text" "$tmp/back"
$decai tokenize --model $model "$tmp/text" --no-special --offsets >"$tmp/places"
check "offsets end where the text ends" grep -q ":$(wc -c <"$tmp/text")\$" "$tmp/places"
check "a tokenizer becomes a tokenizer.json" $decai tokenizer convert $model "$tmp/tokenizer.json"
check "and that a GGUF" $decai tokenizer convert "$tmp/tokenizer.json" "$tmp/tokenizer.gguf"
for t in tokenizer.json tokenizer.gguf; do
    $decai tokenize --model "$tmp/$t" "$tmp/text" --no-special >"$tmp/again"
    check "$t gives the same ids" cmp "$tmp/ids" "$tmp/again"
done
# Any bytes go there and back: none, no line end, no UTF-8, NUL, and many.
: >"$tmp/bytes.empty"
printf 'no line end' >"$tmp/bytes.open"
printf '\377\376 caf\303 \342\202 \360\237\246 \355\240\200\n' >"$tmp/bytes.invalid"
printf 'a\000b\000\000\n\000' >"$tmp/bytes.nul"
yes 'a line of text, 123 and 0x1F;' | head -c 100000000 >"$tmp/bytes.large"
for f in empty open invalid nul large; do
    $decai tokenize --model $model --ids "$tmp/bytes.$f" --no-special >"$tmp/ids"
    check "tokenize $f: one line" test "$(wc -l <"$tmp/ids")" = 1
    $decai detokenize --model $model "$tmp/ids" >"$tmp/back"
    check "tokenize $f: and back" cmp "$tmp/bytes.$f" "$tmp/back"
    [ $f != large ] || continue
    $decai tokenize --model $model "$tmp/bytes.$f" --no-special --offsets | tr ' ' '\n' | cut -d: -f1 >"$tmp/again"
    check "tokenize $f: --offsets has the same ids" test "$(tr '\n' ' ' <"$tmp/again")" = "$(tr '\n' ' ' <"$tmp/ids")"
done
rm -f "$tmp/bytes.large"
printf '%s' "$($decai tokenize --model $model "$tmp/text" --no-special)" >"$tmp/ids"
check "detokenize needs no line end" gives 0 "send 25 usdc to Maria" $decai detokenize --model $model "$tmp/ids"
printf '1 two' >"$tmp/ids"
check "detokenize wants numbers" gives 2 '"two" is not a whole number' $decai detokenize --model $model "$tmp/ids"
printf '1\0002' >"$tmp/ids"
check "detokenize takes no NUL" gives 3 "a NUL among the ids" $decai detokenize --model $model "$tmp/ids"
printf '999999999' >"$tmp/ids"
check "detokenize names an id that is none" gives 3 "999999999 is not in 0.." $decai detokenize --model $model "$tmp/ids"
check "tokenize adds and reads control tokens unless told" sh -c "$decai tokenize --model $model $tmp/text >$tmp/again; ! cmp -s $tmp/again $tmp/back"
check "bench tok --json is one object" one_json 0 $decai bench tok --model $model "$tmp/text" --json
check "with its three numbers" json_is "$tmp/json" 'd["encode_mbps"] > 0 and d["decode_mbps"] > 0 and d["load_ms"] > 0'
check "tokenizer convert knows two endings" gives 2 "ends neither in" $decai tokenizer convert $model "$tmp/x.yaml"

# ---- run ------------------------------------------------------------------------
check "run streams an answer" gives 0 '"action":"transfer"' $decai run $model "$prompt"
check "run colours nothing that is not a terminal" test -z "$(tr -d '\t\n -~' <"$tmp/err")"
check "run --json is one object" one_json 0 $decai run $model "$prompt" --json
check "its logits hash is there" json_is "$tmp/json" 'len(d["logits_hash"]) == 66 and d["output_tokens"] > 5 and "Maria" in d["text"]'
cp "$tmp/json" "$tmp/first.json"
for b in scalar native opencl; do
    check "run on $b" one_json 0 $decai run $model "$prompt" --json --backend $b --threads 2
    check "run on $b gives the same logits hash" json_is "$tmp/json" "d['logits_hash'] == json.load(open('$tmp/first.json'))['logits_hash']"
done
cold() { env XDG_CACHE_HOME="$tmp/cold" POCL_CACHE_DIR="$tmp/cold-pocl" "$@"; }
check "run on opencl, its programs not built yet" one_json 0 cold $decai run $model "$prompt" --json --backend opencl
check "one seed, one sample" one_json 0 $decai run $model "$prompt" --json --temperature=0.9 --seed=5
check "a missing model" gives 3 "$tmp/none.gguf: DECAI_E_IO" $decai run "$tmp/none.gguf" x
head -c 5000 $model >"$tmp/cut.gguf"
check "a model that is cut off" gives 3 "DECAI_E_CORRUPT: " $decai run "$tmp/cut.gguf" x
check "a receipt to a folder that is not there" gives 3 "$tmp/none/r.new: No such file" $decai run $model x --receipt "$tmp/none/r"
if [ -w /dev/full ]; then
    full() { $decai run $model x >/dev/full 2>"$tmp/err"; [ $? = 3 ] && grep -q "standard output" "$tmp/err"; }
    check "a full disk behind stdout" full
    check "a full disk under --dir" gives 3 "--dir: /dev/full/x" $decai demo --dir /dev/full/x
fi

# ---- the demo --------------------------------------------------------------------
start=$(date +%s)
check "decai demo" gives 0 "is wrong" $decai demo --dir "$demo"
check "in at most 30 s" test $(($(date +%s) - start)) -le 30
for f in market.sqlite manifest.cbor claims.json report.html README.txt receipt-cirrus.cbor receipt-aurora.cbor.opening; do
    check "it leaves $f" test -s "$demo/$f"
done
outside() { ! grep -Eo '(src|href|url|import|fetch)[=( ]*["'\'']?(https?:)?//[^"'\'' ]*' "$demo/report.html"; }
check "report.html fetches nothing" outside
check "demo --json is one object" one_json 0 $decai demo --dir "$tmp/a" --seed 7 --json
check "with the agreed keys" json_is "$tmp/json" 'list(d) == "conserved receipts_verified cheat slashed payouts payout_root model_root logits_hash device seconds".split()'
check "conserved, both receipts judged, the cheat located and slashed" json_is "$tmp/json" \
    'd["conserved"] is True and d["receipts_verified"] == 2 and list(d["cheat"]) == "token layer op row leaf".split() and d["cheat"]["layer"] >= 0 and d["slashed"] == "1000000" and int(d["payouts"]["cirrus"]) > 0 and "aurora" not in d["payouts"] and d["seconds"] < 30'
lie() { $decai demo --dir "$tmp/lie" --seed 7 | sed -n 's/.*streams: //p' | sort -u | wc -l | grep -qx ' *2'; }
check "the cheat's answer differs to the eye" lie
cp "$tmp/json" "$tmp/a.json"
same_files() { for f in "$tmp"/a/*.cbor "$tmp"/a/*.opening "$tmp/a/claims.json"; do cmp "$f" "$tmp/b/$(basename "$f")" || return 1; done; }
for b in opencl native scalar; do
    check "seed 7 again, on $b" one_json 0 $decai demo --dir "$tmp/b" --seed 7 --backend $b --json
    check "$b: receipts, openings, manifest and claims byte for byte" same_files
    check "$b: the same report" json_is "$tmp/json" "[d.pop(k) and 0 for k in ('device', 'seconds')] and all(d[k] == v for k, v in json.load(open('$tmp/a.json')).items() if k in d)"
done
check "another seed" one_json 0 $decai demo --dir "$tmp/b" --seed 8 --json
check_fails "another seed, other receipts" same_files
check "no seed" one_json 0 $decai demo --dir "$tmp/b" --json
cp "$tmp/b/receipt-cirrus.cbor" "$tmp/once"
check "no seed again" one_json 0 $decai demo --dir "$tmp/b" --json
check_fails "without a seed no two receipts are equal" cmp "$tmp/once" "$tmp/b/receipt-cirrus.cbor"
no_opencl() { OCL_ICD_VENDORS=$tmp/none OCL_ICD_FILENAMES=$tmp/none one_json 0 $decai demo --dir "$tmp/b" --json; }
check "without an OpenCL device the demo runs" no_opencl
check "and says on what" json_is "$tmp/json" 'd["device"].startswith("native: ") and "no opencl" in d["device"]'
echo mine >"$tmp/market.sqlite"
check "a database of somebody else is left alone" gives 3 "left alone" $decai demo --dir "$tmp"
check "it is still there" grep -q mine "$tmp/market.sqlite"
check "a folder that cannot be made" gives 3 "Not a directory" $decai demo --dir "$tmp/once/x"

# ---- verify ------------------------------------------------------------------------
check "verify uses the shipped model unasked" one_json 0 $decai verify "$honest" --json
check "and computes every number again" json_is "$tmp/json" 'd["ok"] and d["complete"] and d["committed"] == []'
for b in scalar native opencl; do
    check "verify on $b: right" gives 0 "every number was computed again" $decai verify "$honest" --model $model --backend $b
    check "verify on $b: wrong" gives 1 "wrong: " $decai verify "$cheat" --model $model --backend $b
done
check "without a replay the cheat is not found, and that is said" gives 0 "not everything was checked" $decai verify "$cheat" --no-replay
check "a receipt without its opening" gives 0 "opening is missing" sh -c "cp '$honest' '$tmp/alone'; $decai verify '$tmp/alone'"
check "the opening of another receipt" gives 1 '"reason"' $decai verify "$honest" --opening "$cheat.opening"
check "a missing receipt" gives 3 "No such file" $decai verify "$tmp/none"
check "something else than a receipt" gives 3 "DECAI_E_CORRUPT" $decai verify "$tmp/first.json"
check "something too large for a receipt" gives 3 "DECAI_E_LIMIT" $decai verify $model
check "a receipt of run" one_json 0 $decai run $model "$prompt" --receipt "$tmp/own" --json
check "checks, unsigned" gives 0 "nobody has signed it" $decai verify "$tmp/own"

# One byte in a place that carries meaning: everywhere in the file, in steps.
flip() {
    "$PYTHON" - "$1" "$2" "$3" <<'PY'
import sys
path, out, at = sys.argv[1], sys.argv[2], int(sys.argv[3])
data = bytearray(open(path, "rb").read())
data[at % len(data)] ^= 1
open(out, "wb").write(data)
PY
}
noticed() {
    for at in 3 40 100 177 222 301 350 420; do
        cp "$honest" "$tmp/r.cbor"; cp "$honest.opening" "$tmp/r.cbor.opening"
        flip "$tmp/r.cbor$1" "$tmp/r.cbor$1" $at
        $decai verify "$tmp/r.cbor" --json >"$tmp/out" 2>"$tmp/err"; got=$?
        case $got in
            1) grep -q '"reason": "[^"]' "$tmp/out" || { echo "byte $at: no reason"; return 1; } ;;
            3) grep -q 'decai: .*: DECAI_E_.*: ' "$tmp/err" || { echo "byte $at: no detail"; cat "$tmp/err"; return 1; } ;;
            *) echo "byte $at of the receipt$1: exit status $got"; return 1 ;;
        esac
    done
}
check "one byte of a receipt changed: noticed, with a reason" noticed ""
check "one byte of an opening changed: noticed, with a reason" noticed .opening
unchanged() { cp "$honest" "$tmp/r.cbor"; cp "$honest.opening" "$tmp/r.cbor.opening"; $decai verify "$tmp/r.cbor" --json; }
check "control: unchanged copies check" unchanged

# ---- inspect, devices -----------------------------------------------------------------
echo '{"a": [1, 2]}' >"$tmp/x.json"
printf '\203\001\002\003' >"$tmp/x.cbor"
for row in "$model=model" "$honest=receipt" "$honest.opening=opening" "$demo/manifest.cbor=manifest" "$demo/claims.json=json" \
    "$tmp/x.json=json" "$tmp/x.cbor=cbor"; do
    file=${row%=*} kind=${row##*=}
    check "inspect $(basename "$file")" gives 0 ": $kind" $decai inspect "$file"
    check "inspect $(basename "$file") --json" one_json 0 $decai inspect "$file" --json
    check "$(basename "$file") is a $kind" json_is "$tmp/json" "list(d) == ['file', 'kind', 'content'] and d['kind'] == '$kind' and d['content']"
done
printf '\377\376garbage' >"$tmp/garbage"
check "inspect garbage" gives 3 "garbage: neither a model" $decai inspect "$tmp/garbage"
check "inspect an empty file" gives 3 "neither a model" $decai inspect /dev/null
check "inspect a folder" gives 3 "Is a directory" $decai inspect "$tmp"
check "inspect broken JSON" gives 3 "DECAI_E_CORRUPT" sh -c "echo '{\"a\":}' >'$tmp/bad.json'; $decai inspect '$tmp/bad.json'"
check "devices" gives 0 "scalar" $decai devices
check "devices --json" one_json 0 $decai devices --json
check "scalar and native are always there" json_is "$tmp/json" '[x["backend"] for x in d[:2]] == ["scalar", "native"]'
check "devices --probe" gives 0 "passed" $decai devices --probe
check "devices --probe --json" one_json 0 $decai devices --probe --json
check "every device computes what it should" json_is "$tmp/json" 'all(x["probe"] == "passed" for x in d)'

# ---- a terminal: colours, unless NO_COLOR asks for none -----------------------------------
on_terminal() {
    "$PYTHON" - "$@" <<'PY'
import os, pty, subprocess, sys
ours, theirs = pty.openpty()
p = subprocess.Popen(sys.argv[1:], stdin=theirs, stdout=theirs, stderr=theirs)
os.close(theirs)
try:
    while data := os.read(ours, 4096):
        sys.stdout.write(data.decode())
except OSError:      # the other end is closed
    pass
sys.exit(p.wait())
PY
}
escape=$(printf '\033')
check "a terminal gets colours" gives 0 "$escape[" on_terminal $decai devices
plain() { NO_COLOR=1 on_terminal $decai devices >"$tmp/out" && ! grep -q "$escape" "$tmp/out"; }
check "NO_COLOR takes them away" plain

# ---- perplexity, embed, bench ---------------------------------------------------------
i=0; while [ $i -lt 12 ]; do echo "please send $i usdc to Maria"; i=$((i + 1)); done >"$tmp/text"
check "perplexity --json is one object" one_json 0 $decai perplexity $model "$tmp/text" --context 64 --json
check "half of each window is judged" json_is "$tmp/json" 'd["judged"] == 31 * d["windows"] and 1 < d["perplexity"] < 1000'
cp "$tmp/json" "$tmp/first.json"
check "perplexity on scalar" one_json 0 $decai perplexity $model "$tmp/text" --context 64 --json --backend scalar
check "it is the same number" "$PYTHON" -c "import json,sys; a,b=(json.load(open(f)) for f in sys.argv[1:]); assert a['perplexity'] == b['perplexity']" "$tmp/json" "$tmp/first.json"
check "a text shorter than a window" gives 3 "a window has 512" $decai perplexity $model "$tmp/text"
head -n 3 "$tmp/text" >"$tmp/lines"
check "embed a file" gives 0 '"line":3' $decai embed $model "$tmp/lines"
vectors() { $decai embed $model <"$tmp/lines" >"$tmp/out" && "$PYTHON" -c "
import json, sys
v = [json.loads(line)['embedding'] for line in open(sys.argv[1])]
assert len(v) == 3 and len(v[0]) == 128 and all(abs(sum(x * x for x in e) - 1) < 1e-5 for e in v)" "$tmp/out"; }
check "embed standard input: a vector of length 1 a line" vectors
check "a line longer than the context" gives 3 "line 1:" sh -c "printf %4000s x | tr ' ' x | $decai embed $model"
check "bench --json is one object" one_json 0 $decai bench infer --prefill 40 --decode 4 --rounds 1 --no-read --json
check "it measured" json_is "$tmp/json" 'd["prefill_tps"] > 0 and d["decode_tps"] > 0 and len(d["logits_hash"]) == 66 and d["peak_rss"] > 0'
cp "$tmp/json" "$tmp/first.json"
check "bench on scalar" one_json 0 $decai bench infer --prefill 40 --decode 4 --rounds 1 --no-read --json --backend scalar --batch 7
check "it has the same logits" "$PYTHON" -c "import json,sys; a,b=(json.load(open(f)) for f in sys.argv[1:]); assert a['logits_hash'] == b['logits_hash']" "$tmp/json" "$tmp/first.json"
check "bench knows what it measures" gives 2 "bench knows infer" $decai bench market

# ---- the small examples ------------------------------------------------------------------
life() { PYTHONPATH=bindings/python DECAI_LIBRARY=$(ls "$PWD/$BUILD"/libdecai.so.*.*.*) "$PYTHON" examples/job_life.py; }
check "examples/job_life.py" life
check "it is under 80 lines" test "$(wc -l <examples/job_life.py)" -lt 80
check "examples/hello_model" gives 0 '"action":"transfer"' "$BUILD/examples/hello_model" $model "$prompt"
check "examples/hello_model without a model" gives 1 "$tmp/none.gguf" "$BUILD/examples/hello_model" "$tmp/none.gguf" hi
check "examples/verify_receipt: right" gives 0 "right" "$BUILD/examples/verify_receipt" $model "$honest" "$honest.opening"
check "examples/verify_receipt: wrong" gives 1 "wrong" "$BUILD/examples/verify_receipt" $model "$cheat" "$cheat.opening"
if command -v mandoc >/dev/null; then check "the man page is clean" mandoc -Tlint -W warning examples/decai/decai.1
else check "the man page is there" test -s examples/decai/decai.1; fi
tap_end
