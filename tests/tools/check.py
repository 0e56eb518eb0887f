"""Run every gate, test program and fuzz corpus, and count.

  check.py [unit|deep] [NAME...]

Failed means: a "not ok" line; a program that crashed, ran out of time, ended
with a status that its own lines do not explain, or ran fewer tests than it
planned; a skip that tests/skips.txt does not allow. The last line is always
"N passed, N failed, N skipped".
"""
import concurrent.futures
import fnmatch
import os
import signal
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tap  # noqa: E402

BUILD = os.environ.get("BUILD", "build/release")
MODE = os.environ.get("MODE", "release")
CI = os.environ.get("CI", "") not in ("", "0", "false")
PYTHON = os.environ.get("PYTHON", "python3")
SANITIZERS = ("asan", "ubsan", "tsan", "msan")

# name, command; every one prints TAP.
GATES = [
    ("rooms", [PYTHON, "tests/tools/rooms.py"]),
    ("lint", [PYTHON, "tests/tools/lint.py"]),
    ("headers", ["sh", "tests/tools/headers.sh"]),
    ("api", [PYTHON, "tests/tools/api.py", "--gate"]),
    ("abi", ["sh", "tests/tools/abi.sh"]),
    ("python", [PYTHON, "tests/python/run.py"]),
    ("install", ["sh", "tests/tools/install.sh"]),
    ("cli", ["sh", "tests/tools/cli.sh"]),
    ("hostile-env", ["sh", "tests/tools/hostile_env.sh"]),
    ("constant-time", ["sh", "tests/tools/ctime.sh"]),
    ("reproduce", ["sh", "tests/tools/reproduce.sh"]),
]


def sources(folder):
    """Programs by their sources: a binary left over from a renamed test does not count."""
    path = os.path.join("tests", folder)
    names = sorted(os.listdir(path)) if os.path.isdir(path) else []
    return [n[:-2] for n in names if n.endswith("_test.c")]


def read_list(path):
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as f:
        lines = [line.split("#", 1)[0].strip() if path.endswith("san.txt") else line.strip() for line in f]
    return [line for line in lines if line and not line.startswith("#")]


def allowed_skips():
    """Rows "program:test | ci, local, vectors, sanitizer or tsan | reason".

    local is not allowed where CI is set, vectors not where the folder of
    published vectors is there, sanitizer only in a sanitizer's build.
    """
    rows = []
    for line in read_list("tests/skips.txt"):
        parts = [p.strip() for p in line.split("|")]
        if len(parts) != 3 or parts[1] not in ("ci", "local", "vectors", "sanitizer", "tsan") or not parts[2]:
            sys.exit("tests/skips.txt: a row is 'program:test | ci, local, vectors, sanitizer or tsan | reason': " + line)
        rows.append(parts)
    return rows


def skip_allowed(rows, name):
    vectors = os.path.isdir(os.environ.get("DECAI_VECTORS") or "../shared/vectors")
    allowed = {"ci": True, "local": not CI, "vectors": not vectors, "sanitizer": MODE in SANITIZERS,
               "tsan": MODE == "tsan"}
    return any(fnmatch.fnmatchcase(name, row[0]) and allowed[row[1]] for row in rows)


def environment(deep):
    env = dict(os.environ, CMOCKA_MESSAGE_OUTPUT="TAP", BUILD=BUILD, MODE=MODE, PYTHON=PYTHON,
               PYTHONDONTWRITEBYTECODE="1", LC_ALL="C.UTF-8")
    # Compiled OpenCL programs of the driver stay inside the build folder.
    env.setdefault("POCL_CACHE_DIR", os.path.abspath(os.path.join(BUILD, "pocl-cache")))
    os.makedirs(env["POCL_CACHE_DIR"], exist_ok=True)
    if deep:
        env["DECAI_DEEP"] = "1"
    here = os.path.abspath("tests")
    # use_tls=0: what a driver's threads keep in thread-local storage can end the leak
    # checker itself ("Tracer caught signal 11"), by the length of the cache's path.
    env["LSAN_OPTIONS"] = "suppressions=%s/lsan.supp:print_suppressions=0:use_tls=0" % here
    env["ASAN_OPTIONS"] = "detect_leaks=1:strict_string_checks=1:detect_stack_use_after_return=1:allocator_may_return_null=1"
    env["UBSAN_OPTIONS"] = "print_stacktrace=1:halt_on_error=1"
    env["TSAN_OPTIONS"] = "suppressions=%s/tsan.supp:halt_on_error=1:second_deadlock_stack=1" % here
    if MODE == "tsan":
        # PoCL is not instrumented: every lock of its workers would look broken.
        env["OCL_ICD_VENDORS"] = "/nonexistent"
    env["MSAN_OPTIONS"] = "halt_on_error=1"
    return env


def run(command, env, limit):
    """(status, output, seconds); the whole process group goes when time is up."""
    start = time.monotonic()
    try:
        p = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                             stdin=subprocess.DEVNULL, start_new_session=True)
    except OSError as e:
        return 127, "cannot start %s: %s\n" % (command[0], e), 0.0
    try:
        out, _ = p.communicate(timeout=limit)
        status = p.returncode
    except subprocess.TimeoutExpired:
        os.killpg(p.pid, signal.SIGKILL)
        out, _ = p.communicate()
        out += b"\n# ran out of time: %d s\n" % limit
        status = -signal.SIGKILL
    return status, out.decode("utf-8", "replace"), time.monotonic() - start


def shown(output):
    """The last 120 lines, and before them what else is said of tests that failed."""
    lines = output.splitlines()
    early = lines[:-120]
    found = [early[i:i + 40] + ["..."] for i, line in enumerate(early) if line.startswith("not ok")]
    return "\n".join(sum(found, []) + lines[-120:])


def judge(name, status, output, rows):
    """(passed, failed, skipped, problems) counts and reasons of one program."""
    passed, failed, skipped, planned = tap.read(output)
    problems = ["not ok: " + f for f in failed]
    ran = len(passed) + len(failed) + len(skipped)
    extra = 0
    if planned is None:
        extra += 1
        problems.append("printed no plan (1..N)")
    elif planned != ran:
        extra += 1
        problems.append("planned %d tests, %d reported" % (planned, ran))
    if status != 0 and not failed and not extra:
        extra += 1
        problems.append("ended by signal %d" % -status if status < 0 else "ended with status %d" % status)
    for test, reason in skipped:
        if not skip_allowed(rows, "%s:%s" % (name, test)):
            extra += 1
            problems.append("skip not on tests/skips.txt%s: %s:%s (%s)" % (" for CI" if CI else "", name, test, reason))
    return len(passed), len(failed) + extra, len(skipped), problems


def fuzz_items(deep):
    """Corpus replay and a short, seeded mutation run of every target."""
    items = []
    folder = "tests/fuzz"
    for source in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
        if not (source.startswith("fuzz_") and source.endswith(".c")):
            continue
        name = source[len("fuzz_"):-2]
        rounds = 20000 if deep else 300 if MODE in SANITIZERS else 1000
        items.append(("fuzz/" + name, [os.path.join(BUILD, "tests/fuzz/fuzz_" + name), "--mutate", str(rounds),
                                       "--seed", "1", os.path.join(folder, "corpus", name)]))
    return items


def runs_in_mode(name, patterns):
    """tests/tools/<mode>.txt: what runs, or, where every row begins with !, what does not."""
    left_out = [p[1:] for p in patterns if p.startswith("!")]
    wanted = [p for p in patterns if not p.startswith("!")]
    match = lambda rows: any(fnmatch.fnmatchcase(name, p) for p in rows)  # noqa: E731
    return not match(left_out) and (not wanted or match(wanted))


def collect(what):
    deep = what == "deep"
    programs = ["unit/" + n for n in sources("unit")] + ["api/" + n for n in sources("api")]
    fuzz = fuzz_items(deep)
    patterns = read_list("tests/tools/%s.txt" % MODE) if MODE in SANITIZERS else []
    if patterns:
        programs = [p for p in programs if runs_in_mode(p, patterns)]
        fuzz = [f for f in fuzz if runs_in_mode(f[0], patterns)]
    items = [(p, [os.path.join(BUILD, "tests", p)]) for p in programs] + fuzz
    if what != "unit" and MODE not in SANITIZERS:
        items += [("gate/" + name, command) for name, command in GATES]
    return items


def main(args):
    what = args[0] if args and args[0] in ("unit", "deep") else "all"
    names = args[1:] if what != "all" else args
    items = [i for i in collect(what) if not names or any(n in i[0] for n in names)]
    rows = allowed_skips()
    env = environment(what == "deep")
    limit = int(os.environ.get("DECAI_TEST_SECONDS", "3600" if what == "deep" else "900"))
    jobs = int(os.environ.get("DECAI_TEST_JOBS", str(min(2, os.cpu_count() or 1))))
    total = [0, 0, 0]
    lock = threading.Lock()

    def one(item):
        name, command = item
        status, output, seconds = run(command, env, limit)
        passed, failed, skipped, problems = judge(name, status, output, rows)
        with lock:
            total[0] += passed
            total[1] += failed
            total[2] += skipped
            print("%7.1f s  %-4s %-36s %4d passed%s%s" % (
                seconds, "FAIL" if failed else "ok", name, passed,
                ", %d failed" % failed if failed else "", ", %d skipped" % skipped if skipped else ""), flush=True)
            if failed:
                print("---- output of %s (last 120 lines)" % name)
                print(shown(output))
                print("---- %s: %s" % (name, "; ".join(problems)), flush=True)

    # The slow ones first, so that the last core does not wait for them.
    items.sort(key=lambda i: not i[0].startswith("gate/"))
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        for future in [pool.submit(one, i) for i in items]:
            future.result()
    if not items:
        print("nothing to run: %s" % (" ".join(names) or what))
        total[1] += 1
    counts = os.environ.get("DECAI_CHECK_COUNTS")  # tests/run.sh adds several runs up
    if counts:
        with open(counts, "w", encoding="ascii") as f:
            f.write("%d %d %d\n" % tuple(total))
    label = os.environ.get("DECAI_CHECK_LABEL")
    print("%s%d passed, %d failed, %d skipped" % ("(%s) " % label if label else "", *total), flush=True)
    return 1 if total[1] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
