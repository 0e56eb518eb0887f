"""TAP, in and out: what the gates print and what check.py reads.

A gate makes a Report, calls ok(condition, name, why) for everything it looks
at, and ends with `sys.exit(report.end())`. Names are whole sentences, so that
a reader of a failed run sees what no longer holds.
"""
import re

# CMocka 1.1.5 prints "ok 1 - name", "not ok 2 - name" and, for a skipped test,
# "not ok 3 # SKIP name"; TAP proper says "ok 3 - name # SKIP reason". A test
# that printed half a line leaves the result in the middle of it.
LINE = re.compile(r"(not ok|ok) (\d+) (?:- (.*?)\s*(?:# SKIP ?(.*))?|# SKIP ?(.*))$")
PLAN = re.compile(r"^1\.\.(\d+)$")


class Report:
    def __init__(self):
        self.count = 0
        self.failed = 0

    def ok(self, condition, name, why=""):
        self.count += 1
        if not condition:
            self.failed += 1
        print("%s %d - %s" % ("ok" if condition else "not ok", self.count, name), flush=True)
        if not condition:
            for line in str(why).splitlines():
                print("# " + line, flush=True)
        return bool(condition)

    def skip(self, name, reason):
        self.count += 1
        print("ok %d - %s # SKIP %s" % (self.count, name, reason), flush=True)

    def note(self, text):
        for line in str(text).splitlines():
            print("# " + line, flush=True)

    def end(self):
        print("1..%d" % self.count, flush=True)
        return 1 if self.failed else 0


def read(text):
    """(passed, failed, skipped, planned) of one program's output: names."""
    passed, failed, skipped, planned, seen_plan = [], [], [], 0, False
    for line in text.splitlines():
        plan = PLAN.match(line)
        if plan:
            planned += int(plan.group(1))
            seen_plan = True
            continue
        if line.startswith("#"):
            continue
        hit = LINE.search(line)
        if not hit:
            continue
        word, number, name, reason, cmocka_skip = hit.groups()
        if cmocka_skip is not None:
            skipped.append((cmocka_skip.strip(), ""))
        elif reason is not None and word == "ok":
            skipped.append((name, reason))
        elif word == "ok":
            passed.append(name)
        else:
            failed.append(name)
    return passed, failed, skipped, planned if seen_plan else None
