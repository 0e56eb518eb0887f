#!/usr/bin/env python3
"""Rendering a 20-message conversation: libdecai beside Jinja2, in turns, in one
process. Usage: python3 tests/bench/template.py [--json] [TEMPLATE.jinja...]

Both have the template compiled. libdecai reads the conversation's JSON each time;
Jinja2 is timed on Python objects that are there already, and, as "from JSON",
with json.loads before it. The best of the rounds counts. Without names: the published templates of the vectors.
"""
import ctypes
import glob
import json
import os
import statistics
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [os.path.join(ROOT, "bindings", "python"), os.path.join(ROOT, "tests", "tools")]
os.environ.setdefault("DECAI_LIBRARY", os.path.join(ROOT, "build", "release", "libdecai.so"))

import decai  # noqa: E402
import jinja_oracle  # noqa: E402

VECTORS = os.environ.get("DECAI_VECTORS", os.path.join(ROOT, "..", "shared", "vectors"))
ROUNDS, SECONDS = 40, 0.003


def conversation():
    words = "Could you explain how the weather in Zürich changes when the wind turns north, and why? ".split()
    messages = [{"role": "system", "content": "You are a helpful assistant. Answer briefly."}]
    for i in range(19):
        text = " ".join(words[(i * 5 + k) % len(words)] for k in range(20 + 7 * i % 40))
        messages.append({"role": "user" if i % 2 == 0 else "assistant", "content": text})
    return {"messages": messages, "bos_token": "<s>", "eos_token": "</s>", "add_generation_prompt": True, "tools": None}


def best(run, count):
    start = time.perf_counter()
    for _ in range(count):
        run()
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
    lib = ctypes.CDLL(os.environ["DECAI_LIBRARY"])
    handle, out, size = ours._as_parameter_, ctypes.create_string_buffer(len(want) + 1), ctypes.c_size_t()
    data, by = text.encode(), ctypes.byref(size)
    call, args = lib.decai_template_format, (handle, out, ctypes.c_size_t(len(want)), by, data, ctypes.c_size_t(len(data)))
    runs = (lambda: call(*args)), (lambda: theirs.render(**variables)), (lambda: theirs.render(**json.loads(text)))
    assert runs[0]() == 0 and out.raw[:size.value] == want
    counts = [max(1, int(SECONDS / best(r, 3))) for r in runs]
    times = [1e9] * 3
    for _ in range(ROUNDS):
        times = [min(t, best(r, n)) for t, r, n in zip(times, runs, counts)]
    return [t * 1e6 for t in times]


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
              "ratio_from_json_min": whole[0], "ratio_from_json_median": statistics.median(whole), "json_bytes": len(text.encode()),
              "load": os.getloadavg()[0]}
    if "--json" in sys.argv:
        print(json.dumps(result))
        return
    for name, r in rows.items():
        print("%-50s %8.2f us  Jinja2 %8.1f us  %5.1f times, from JSON %5.1f" % (
            name[:50], r["us"], r["jinja2_us"], r["ratio"], r["ratio_from_json"]))
    print("ratio: least %.1f, median %.1f; from JSON: least %.1f, median %.1f; %d bytes of JSON; load %.1f" % (
        ratios[0], result["ratio_median"], whole[0], result["ratio_from_json_median"], result["json_bytes"], result["load"]))


if __name__ == "__main__":
    main()
