#!/usr/bin/env python3
"""Rendering a 20-message conversation: libdecai beside Jinja2, in turns, in one
run. Usage: python3 tests/bench/template.py [--json] [TEMPLATE.jinja...]

Both have the template compiled, and each is called as its users do: libdecai from C
(`make bench` builds template.c) with the conversation's JSON, Jinja2 from Python on
objects that are there already, and, as "from JSON", with json.loads before it. The
best of the rounds counts. Without names: the published templates of the vectors.
"""
import glob
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [os.path.join(ROOT, "bindings", "python"), os.path.join(ROOT, "tests", "tools")]
os.environ.setdefault("DECAI_LIBRARY", os.path.join(ROOT, "build", "release", "libdecai.so"))

import decai  # noqa: E402
import jinja_oracle  # noqa: E402

VECTORS = os.environ.get("DECAI_VECTORS", os.path.join(ROOT, "..", "shared", "vectors"))
PROGRAM = os.path.join(os.path.dirname(os.environ["DECAI_LIBRARY"]), "tests", "bench", "template")
ROUNDS, SECONDS = 40, 0.003


def conversation():
    words = "Could you explain how the weather in Zürich changes when the wind turns north, and why? ".split()
    messages = [{"role": "system", "content": "You are a helpful assistant. Answer briefly."}]
    for i in range(19):
        text = " ".join(words[(i * 5 + k) % len(words)] for k in range(20 + 7 * i % 40))
        messages.append({"role": "user" if i % 2 == 0 else "assistant", "content": text})
    return {"messages": messages, "bos_token": "<s>", "eos_token": "</s>", "add_generation_prompt": True, "tools": None}


def mean(run, arg, count):
    start = time.perf_counter()
    for _ in range(count):
        run(arg)
    return (time.perf_counter() - start) / count


def measure(path, variables, text, context, env):
    with open(path, encoding="utf-8") as f:
        source = f.read()
    theirs, ours = env.from_string(source), decai.Template(context, None, source, {"tok.template_time_s": jinja_oracle.NOW})
    try:
        want = theirs.render(**variables).encode()
    except Exception:
        return None
    assert ours.format(text) == want, path
    with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as f:
        f.write(text)
        f.flush()
        with subprocess.Popen([PROGRAM, path, f.name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as p:

            def in_c(count):
                p.stdin.write("%d\n" % count)
                p.stdin.flush()
                return float(p.stdout.readline())

            times = in_turn((in_c, lambda n: mean(theirs.render, variables, n), lambda n: mean(from_json, (theirs, text), n)))
            p.stdin.close()
    return [t * 1e6 for t in times]


def from_json(pair):
    return pair[0].render(json.loads(pair[1]))


def in_turn(runs):
    counts = [max(1, int(SECONDS / run(3))) for run in runs]
    times = [1e9] * len(runs)
    for _ in range(ROUNDS):
        times = [min(t, run(n)) for t, run, n in zip(times, runs, counts)]
    return times


def main():
    names = [a for a in sys.argv[1:] if not a.startswith("--")]
    names = names or sorted(glob.glob(os.path.join(VECTORS, "tokenizers", "templates", "*.jinja")))
    variables, context, env, rows = conversation(), decai.Context(), jinja_oracle.environment(), {}
    text = json.dumps(variables, ensure_ascii=False)
    for name in names:
        row = measure(name, variables, text, context, env)
        if row:
            rows[os.path.basename(name)] = {"us": round(row[0], 2), "jinja2_us": round(row[1], 1), "ratio": round(row[1] / row[0], 1),
                                            "ratio_from_json": round(row[2] / row[0], 1)}
    ratios, whole = (sorted(r[k] for r in rows.values()) for k in ("ratio", "ratio_from_json"))
    result = {"templates": rows, "ratio_min": ratios[0], "ratio_median": statistics.median(ratios),
              "at_least_5": sum(r >= 5 for r in ratios), "at_least_50": sum(r >= 50 for r in ratios), "ratio_from_json_min": whole[0], "ratio_from_json_median": statistics.median(whole), "json_bytes": len(text.encode()),
              "load": os.getloadavg()[0]}
    if "--json" in sys.argv:
        print(json.dumps(result))
        return
    for name, r in rows.items():
        print("%-50s %8.2f us  Jinja2 %8.1f us  %5.1f times, from JSON %5.1f" % (
            name[:50], r["us"], r["jinja2_us"], r["ratio"], r["ratio_from_json"]))
    print("%d templates, %d of them 5 times or more, %d of them 50" % (len(ratios), result["at_least_5"], result["at_least_50"]))
    print("ratio: least %.1f, median %.1f; from JSON: least %.1f, median %.1f; %d bytes of JSON; load %.1f" % (
        ratios[0], result["ratio_median"], whole[0], result["ratio_from_json_median"], result["json_bytes"], result["load"]))


if __name__ == "__main__":
    main()
