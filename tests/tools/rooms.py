"""TAP. The law of the house, lib/rooms.txt, against what the compiler saw.

Edges between rooms come from the compiler's .d files and, a second time, from
the symbols of the object files; libraries from the sources' #include lines.
Every rule is a function from facts to a list of violations, and is run once on
the tree and once on facts with a planted violation.
"""
import collections
import glob
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import api  # noqa: E402
import tap  # noqa: E402

BUILD = os.environ.get("BUILD", "build/release")
NM = os.environ.get("NM", "nm")

# header pattern -> rooms that may see it, and what it stands for
LIBRARIES = [
    (r"(cjson/)?cJSON\.h", {"codec"}),
    (r"CL/.*", {"compute"}),
    (r"sqlite3\.h", {"store"}),
    (r"libpq.*|postgres.*", {"store"}),
    (r"curl/.*", {"net"}),
    (r"openssl/.*", {"hash", "key"}),
    (r"secp256k1.*", {"key"}),
]
# The internal functions that make a signature: DESIGN section 8.
SIGNING = re.compile(r"^decai__key_sign(_|$)")
SIGNERS = {"wallet"}
EXPORTS_MAX = 300   # DESIGN section 3


class Rooms:
    def __init__(self, text):
        self.number, self.budget, self.uses = {}, {}, {}
        for line in text.splitlines():
            parts = line.split("#")[0].split()
            if parts:
                name = parts[0]
                self.number[name], self.budget[name] = int(parts[1]), int(parts[2])
                self.uses[name] = {p for p in parts[3:] if p != "-"}


def law(rooms):
    """rooms.txt itself: known names, unique numbers, no cycle."""
    found = ["%s uses %s, which is no room" % (r, u) for r in rooms.uses for u in rooms.uses[r] if u not in rooms.uses]
    if len(set(rooms.number.values())) != len(rooms.number):
        found.append("two rooms have one number")
    left = {r: set(u) for r, u in rooms.uses.items()}
    while True:
        free = [r for r in left if not left[r] & set(left)]
        if not free:
            break
        for r in free:
            del left[r]
    return found + (["a cycle among: " + " ".join(sorted(left))] if left else [])


def room_of(path):
    match = re.match(r"(?:\./)?(?:lib|include/decai)/(\w+)(?:/|\.h$)", path)
    return match.group(1) if match else None


def edges_of_d(text):
    """(room, file, header) of one .d file."""
    head = text.replace("\\\n", " ").split("\n")[0].split(": ", 1)
    files = head[1].split() if len(head) == 2 else []
    return [(room_of(files[0]), files[0], f) for f in files[1:]] if files else []


def wrong_edges(rooms, edges):
    found = []
    for room, source, header in edges:
        if header in ("include/decai.h", "./include/decai.h"):
            found.append("%s includes the umbrella decai.h" % source)
        other = room_of(header)
        if other and other != room and other not in rooms.uses.get(room, ()):
            found.append("%s sees %s: %s may not use %s" % (source, header, room, other))
    return sorted(set(found))


def includes():
    """(room, file, header in <>) of every source in lib/."""
    for path in sorted(glob.glob("lib/*/*.[ch]")):
        with open(path, encoding="utf-8") as f:
            for header in re.findall(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', f.read(), re.M):
                yield room_of(path), path, header


def wrong_libraries(seen):
    return ["%s: %s is for %s only" % (path, header, ", ".join(sorted(allowed)))
            for room, path, header in seen for pattern, allowed in LIBRARIES
            if re.fullmatch(pattern, header) and room not in allowed]


def objects():
    """{source: (defined, undefined)} of every object that has a source today."""
    sources = {os.path.join(BUILD, p[:-2] + ".o"): p for p in sorted(glob.glob("lib/*/*.c"))}
    there = [o for o in sources if os.path.exists(o)]
    result = {sources[o]: (set(), set()) for o in there}
    out = subprocess.run([NM, "-A", "-g"] + there, stdout=subprocess.PIPE, check=True).stdout.decode() if there else ""
    for line in out.splitlines():
        obj, rest = line.split(":", 1)
        kind, name = rest.split()[-2:]
        result[sources[obj]][kind == "U"].add(name)
    return result


def wrong_symbols(rooms, objs):
    """Exports outside api.c, uses of another room's symbols, signatures outside the sink."""
    home = {name: room_of(p) for p, (defined, _) in objs.items() for name in defined}
    found = []
    for path, (defined, undefined) in objs.items():
        room = room_of(path)
        if os.path.basename(path) != "api.c":
            found += ["%s defines %s: only api.c exports" % (path, n) for n in sorted(defined)
                      if re.match(r"decai_[a-z]", n)]
        found += ["%s defines %s: names of ours start with decai" % (path, n) for n in sorted(defined)
                  if not n.startswith("decai_") and not n.startswith("__")]
        for name in sorted(undefined):
            other = home.get(name)
            if other and other != room and other not in rooms.uses.get(room, ()):
                found.append("%s calls %s of room %s" % (path, name, other))
            if SIGNING.match(name) and room not in SIGNERS:
                found.append("%s refers to %s: only %s may sign" % (path, name, " and ".join(sorted(SIGNERS))))
    return found


def defined_twice(objs):
    """One internal name in two rooms links by luck, or not at all."""
    homes = collections.defaultdict(list)
    for path, (defined, _) in objs.items():
        for name in defined:
            homes[name].append(path)
    return ["%s is defined in %s" % (n, " and ".join(sorted(p))) for n, p in sorted(homes.items()) if len(p) > 1]


def over_budget(rooms, functions):
    counts = collections.Counter(f["header"] for f in functions)
    return ["%s exports %d functions, its budget is %d" % (r, n, rooms.budget.get(r, 0))
            for r, n in sorted(counts.items()) if n > rooms.budget.get(r, 0)], counts


def over_all(rooms):
    """What 1.0 may export at most, planned rooms included."""
    total = sum(rooms.budget.values())
    return ["the budgets add up to %d, %d are allowed" % (total, EXPORTS_MAX)] if total > EXPORTS_MAX else []


def wrong_errors(rooms, errors):
    found = []
    for e in errors:
        n = rooms.number.get(e["header"], -1)
        if not -100 * n - 99 <= e["value"] <= -100 * n - 1:
            found.append("%s = %d is outside the range of room %s" % (e["name"], e["value"], e["header"]))
    values = [e["value"] for e in errors]
    return found + ["error %d is given out twice" % v for v in sorted({v for v in values if values.count(v) > 1})]


def missing_readmes(rooms):
    found = ["lib/%s is not in rooms.txt" % d.split("/")[1] for d in glob.glob("lib/*/") if d.split("/")[1] not in rooms.uses]
    return found + ["%s has no README.md" % d for d in sorted(glob.glob("lib/*/")) if glob.glob(d + "*.c")
                    and not os.path.exists(d + "README.md")]


def main():
    report = tap.Report()
    with open("lib/rooms.txt", encoding="utf-8") as f:
        rooms = Rooms(f.read())

    def rule(name, found, control, control_found):
        report.ok(not found, name, "\n".join(found))
        report.ok(control_found, "control: %s is found" % control)

    rule("rooms.txt is acyclic and names only rooms", law(rooms),
         "a cycle", law(Rooms("a 1 1 b\nb 2 1 a\nc 3 1 -\n")))
    edges = []
    sources = sorted(glob.glob("lib/*/*.c"))
    for path in sources:
        d = os.path.join(BUILD, path[:-2] + ".d")
        if os.path.exists(d):
            with open(d, encoding="utf-8") as f:
                edges += edges_of_d(f.read())
    report.ok({e[1] for e in edges} >= set(sources) and sources, "the compiler's .d file of every source in lib/ was read",
              "\n".join(sorted(set(sources) - {e[1] for e in edges})))
    rule("every #include stays within the edges of rooms.txt", wrong_edges(rooms, edges),
         "base including hash", wrong_edges(rooms, edges_of_d("x.o: lib/base/planted.c \\\n lib/base/base.h lib/hash/hash.h\n")))
    rule("each library's headers are seen by its room only", wrong_libraries(includes()),
         "job including sqlite3.h", wrong_libraries([("job", "lib/job/planted.c", "sqlite3.h")]))
    objs = objects()
    report.ok(set(objs) == set(sources), "the object of every source in lib/ was read")
    rule("symbols: api.c alone exports, rooms call down, only wallet signs", wrong_symbols(rooms, objs),
         "a signature made in job", wrong_symbols(rooms, dict(objs, **{"lib/job/planted.c": (set(), {"decai__key_sign"})})))
    rule("no name is defined in two places", defined_twice(objs),
         "a name of two rooms", defined_twice({"lib/a/x.c": ({"decai__x"}, set()), "lib/b/y.c": ({"decai__x"}, set())}))
    report.ok(wrong_symbols(rooms, {"lib/base/planted.c": ({"decai_planted_get"}, set())}),
              "control: an export outside api.c is found")
    report.ok(wrong_symbols(rooms, {"lib/hash/a.c": ({"decai__planted"}, set()), "lib/base/b.c": (set(), {"decai__planted"})}),
              "control: a call upwards is found")
    try:
        known = api.parse_tree()
    except api.Refused as e:
        report.ok(False, "the headers can be read", e)
        return report.end()
    found, counts = over_budget(rooms, known["functions"])
    rule("every room exports at most its budget (%s)" % ", ".join(
        "%s %d/%d" % (r, n, rooms.budget.get(r, 0)) for r, n in counts.items()), found,
        "one function too many", over_budget(Rooms("base 0 1 -\n"), known["functions"])[0])
    rule("the budgets of all rooms together are at most %d" % EXPORTS_MAX, over_all(rooms),
         "one function too many", over_all(Rooms("base 0 %d -\nnum 1 1 base\n" % EXPORTS_MAX)))
    rule("error numbers lie in their room's range, none twice", wrong_errors(rooms, known["errors"]),
         "an error of another room", wrong_errors(rooms, [{"name": "X", "value": -1, "header": "job"}]))
    report.ok(not missing_readmes(rooms), "every room is in rooms.txt and has a README", "\n".join(missing_readmes(rooms)))
    return report.end()


if __name__ == "__main__":
    sys.exit(main())
