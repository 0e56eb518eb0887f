"""Run the Python tests, print TAP, and demand that every exported function was
called successfully at least once.

  python3 tests/python/run.py [NAME...]     NAME: part of a test's name; the
                                            demand is made on full runs only
"""
import glob
import importlib.util
import os
import re
import sys
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
os.chdir(ROOT)
sys.path[:0] = [os.path.join(ROOT, "bindings", "python"), os.path.join(ROOT, "tests", "tools"), os.path.dirname(__file__)]
sys.dont_write_bytecode = True

import tap  # noqa: E402


def library():
    """The library of this build, unless DECAI_LIBRARY names another."""
    if "DECAI_LIBRARY" not in os.environ:
        found = sorted(glob.glob(os.path.join(os.environ.get("BUILD", "build/release"), "libdecai.so.*.*.*")))
        if not found:
            sys.exit("tests/python/run.py: no built library: run make")
        os.environ["DECAI_LIBRARY"] = os.path.abspath(found[0])
    return os.environ["DECAI_LIBRARY"]


class Result(unittest.TestResult):
    def __init__(self, report):
        super().__init__()
        self.report = report

    @staticmethod
    def name(test):
        return test.id().split(".", 1)[-1] if "." in test.id() else test.id()

    def addSuccess(self, test):
        self.report.ok(True, self.name(test))

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.report.ok(False, self.name(test), self.failures[-1][1])

    def addError(self, test, err):
        super().addError(test, err)
        self.report.ok(False, self.name(test), self.errors[-1][1])

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            self.report.ok(False, self.name(subtest), (self.failures + self.errors)[-1][1])

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.report.skip(self.name(test), reason)


def load(path):
    name = os.path.basename(path)[:-3]
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return unittest.defaultTestLoader.loadTestsFromModule(module)


def rooms_of(path):
    """The rooms a file says it needs: ROOMS = {...}."""
    with open(path, encoding="utf-8") as f:
        found = re.search(r"^ROOMS = \{(.*?)\}", f.read(), re.M)
    return set(re.findall(r'"(\w+)"', found.group(1))) if found else set()


def flatten(suite):
    for item in suite:
        if isinstance(item, unittest.TestSuite):
            yield from flatten(item)
        else:
            yield item


def main(wanted):
    library()
    import decai
    decai.recorder = set()
    report = tap.Report()
    suite = unittest.TestSuite()
    rooms = {f["header"] for f in decai.api["functions"]}
    for path in sorted(glob.glob("tests/python/test_*.py")):
        if rooms_of(path) - rooms:
            report.note("%s: not run, this library has no %s" % (path, ", ".join(sorted(rooms_of(path) - rooms))))
            continue
        for test in flatten(load(path)):
            if not wanted or any(w in test.id() for w in wanted):
                suite.addTest(test)
    suite.run(Result(report))
    if not wanted:
        exported = {f["name"] for f in decai.api["functions"]}
        missing = sorted(exported - decai.recorder)
        report.ok(not missing, "each of the %d exported functions was called successfully" % len(exported),
                  "without a successful call: " + " ".join(missing))
        report.ok(exported - (decai.recorder - {"decai_version"}), "control: a function that is not called is missed")
    return report.end()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
