"""TAP. The caps and bans of the house; every rule with its planted control.

Caps: a function's body 70 lines, a file 900, a room's README 40. Bans: calls
that end, print, read the environment, keep hidden state or depend on the
locale; domain strings that lib/hash/DOMAINS.md does not list; symbols of the
same kind in the built library. Medians and comment shares are only printed.
tests/tools/lint-exempt.txt holds the exceptions and their reasons.
"""
import fnmatch
import glob
import os
import re
import statistics
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tap  # noqa: E402

BUILD = os.environ.get("BUILD", "build/release")
NM = os.environ.get("NM", "nm")
EXEMPT = "tests/tools/lint-exempt.txt"
FUNCTION_MAX, FILE_MAX, README_MAX, SUPPRESSION_MAX = 70, 900, 40, 10

ENDS = "abort exit _exit _Exit quick_exit assert __assert_fail __assert raise kill fork vfork system popen execve execvp"
PRINTS = ("printf vprintf puts putchar putc fputs fputc fprintf vfprintf dprintf vdprintf perror psignal "
          "__printf_chk __fprintf_chk __vprintf_chk __vfprintf_chk stdout stderr syslog err errx warn warnx")
HIDDEN = ("getenv secure_getenv setenv putenv setlocale uselocale localeconv signal sigaction sigprocmask alarm atexit "
          "strtok rand srand random srandom drand48 time localtime gmtime asctime ctime strerror tmpnam")
UNSAFE = "sprintf vsprintf strcpy strcat stpcpy gets alloca scanf sscanf fscanf"
LOCALE = "strtod strtof strtold atof atoi atol toupper tolower isalpha isdigit isspace"
BLOCKS = "sleep usleep nanosleep clock_nanosleep pause"
HEAP = "malloc calloc realloc free reallocarray strdup strndup aligned_alloc posix_memalign"
BANNED_CALLS = set(" ".join((ENDS, PRINTS, HIDDEN, UNSAFE, LOCALE, BLOCKS, HEAP)).split())
BANNED_SYMBOLS = set(" ".join((ENDS, PRINTS, HIDDEN, UNSAFE, BLOCKS)).split()) | {
    "__stack_chk_fail", "__chk_fail", "__fortify_fail", "__*_chk", "strtod", "atof"}


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def blank(match):
    return re.sub(r"[^\n]", " ", match.group(0))


TOKEN = re.compile(r"/\*.*?\*/|//[^\n]*|\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*'", re.S)


def code_only(text):
    """The source with comments and literals blanked, lines kept."""
    return TOKEN.sub(blank, text)


def string_literals(text):
    return [m.group(0)[1:-1] for m in TOKEN.finditer(text) if m.group(0).startswith('"')]


def comment_share(text):
    chars = sum(len(m.group(0)) for m in TOKEN.finditer(text) if m.group(0).startswith("/"))
    return chars / max(1, len(text))


def functions(text):
    """[(name, lines of the body)]: a body begins with a { that closes in column 0."""
    found, lines = [], code_only(text).split("\n")
    i = 0
    while i < len(lines):
        line = lines[i]
        opens = line.startswith("{") or (re.match(r"^[A-Za-z_].*\)\s*\{\s*$", line) and "=" not in line)
        if not opens:
            i += 1
            continue
        head = "\n".join(lines[max(0, i - 12):i + 1])
        names = re.findall(r"^(?:[A-Za-z_][\w \t*]*?[ \t*])?(\w+)\s*\(", head, re.M)
        end = next((k for k in range(i + 1, len(lines)) if lines[k].startswith("}")), len(lines) - 1)
        if names and not lines[end].rstrip().endswith("};"):
            found.append((names[-1], end - i + 1))
        i = end + 1
    return found


class Exemptions:
    def __init__(self, text):
        self.rows, self.used = [], set()
        for line in text.splitlines():
            if line and not line.startswith("#"):
                kind, what, reason = line.split(None, 2)
                self.rows.append((kind, what, reason))

    def allow(self, kind, what):
        for row in self.rows:
            if row[0] == kind and fnmatch.fnmatchcase(what, row[1]):
                self.used.add(row)
                return True
        return False

    def unused(self):
        return ["%s %s" % r[:2] for r in self.rows if r not in self.used and r[0] != "symbol"]


def long_functions(sources, exempt):
    return ["%s: %s has %d lines, the cap is %d" % (path, name, n, FUNCTION_MAX)
            for path, text in sources.items() for name, n in functions(text)
            if n > FUNCTION_MAX and not exempt.allow("function", "%s:%s" % (path, name))]


def long_files(sources, cap, exempt):
    return ["%s has %d lines, the cap is %d" % (path, text.count("\n"), cap) for path, text in sources.items()
            if text.count("\n") > cap and not exempt.allow("file", path)]


CALL = re.compile(r"(?<![\w.])(?<!->)(\w+)\s*\(")


def banned_calls(sources, exempt):
    found = []
    for path, text in sources.items():
        code = code_only(text)
        for match in CALL.finditer(code):
            name = match.group(1)
            if name in BANNED_CALLS and not exempt.allow("call", "%s:%s" % (path, name)):
                found.append("%s:%d: %s()" % (path, code.count("\n", 0, match.start()) + 1, name))
    return found


def float_formats(sources, exempt):
    """printf of a float writes the decimal comma of the host's locale."""
    return ["%s: \"%s\" formats a float by locale" % (path, s) for path, text in sources.items()
            for s in string_literals(text) if re.search(r"%[-+ #0]*[\d*]*(?:\.[\d*]*)?[lL]?[aefgAEFG](?![a-z0-9_])", s)
            and not exempt.allow("format", path)]


DOMAIN = re.compile(r"decai\.[a-z][a-z0-9._-]*")


def unlisted_domains(sources, table):
    listed = set(re.findall(r"^\|?\s*`?\"?(decai\.[a-z0-9._-]+)\"?`?\s*\|", table, re.M))
    return sorted({"%s: \"%s\" is not in lib/hash/DOMAINS.md" % (path, s) for path, text in sources.items()
                   for s in string_literals(text) if DOMAIN.fullmatch(s) and s not in listed})


def undefined(path, dynamic):
    out = subprocess.run([NM, "-u"] + (["-D"] if dynamic else []) + [path], stdout=subprocess.PIPE, check=True).stdout
    return {line.split()[-1].split("@")[0] for line in out.decode().splitlines() if " U " in " " + line}


def bad_symbols(names, where, exempt):
    return ["%s needs %s" % (where, n) for n in sorted(names)
            if any(fnmatch.fnmatchcase(n, b) for b in BANNED_SYMBOLS) and not exempt.allow("symbol", n)]


def fast_math(sources):
    """Kernels: nothing that may round differently from one device to the next."""
    return ["%s: %s" % (path, m.group(0)) for path, text in sources.items()
            for m in re.finditer(r"\b(?:native_\w+|half_(?:cos|divide|exp\w*|log\w*|powr|recip|rsqrt|sin|sqrt|tan)|"
                                 r"fast_(?:distance|length|normalize))\s*\(|\bmad\s*\(|-cl-(?:fast|unsafe|mad)[\w-]*", code_only(text))]


def unfinished(sources):
    return ["%s:%d: %s" % (path, i + 1, line.strip()) for path, text in sources.items()
            for i, line in enumerate(text.split("\n")) if re.search(r"\b(TODO|FIXME|XXX)\b", line)]


def medians(report, what, sources):
    lengths = sorted(n for text in sources.values() for _, n in functions(text))
    files = sorted(t.count("\n") for t in sources.values())
    if lengths and files:
        report.note("%s: %d functions, lines median %d, p90 %d, longest %d; %d files, lines median %d, longest %d; "
                    "comments %d %%" % (what, len(lengths), statistics.median(lengths), lengths[len(lengths) * 9 // 10],
                                        lengths[-1], len(files), statistics.median(files), files[-1],
                                        100 * sum(comment_share(t) * len(t) for t in sources.values())
                                        / sum(len(t) for t in sources.values())))


def main():
    report = tap.Report()
    load = lambda *patterns: {p: read(p) for pattern in patterns for p in sorted(glob.glob(pattern))}  # noqa: E731
    lib = load("lib/*/*.c", "lib/*/*.h")
    shipped = load("lib/*/*.[ch]", "include/*.h", "include/decai/*.h", "kernels/*.cl", "examples/*.[ch]", "examples/*/*.[ch]",
                   "bindings/python/**/*.py")
    exempt, none = Exemptions(read(EXEMPT)), Exemptions("")
    table = read("lib/hash/DOMAINS.md") if os.path.exists("lib/hash/DOMAINS.md") else ""

    def rule(name, found, control, control_found):
        report.ok(not found, name, "\n".join(found))
        report.ok(control_found, "control: %s is found" % control)

    rule("functions have at most %d lines" % FUNCTION_MAX, long_functions(shipped, exempt), "a function of 71 lines",
         long_functions({"x.c": "int32_t\nplanted(int a)\n{\n%s}\n" % ("    a++;\n" * 69)}, none))
    rule("files have at most %d lines" % FILE_MAX, long_files(shipped, FILE_MAX, exempt), "a file of 901 lines",
         long_files({"x.c": "\n" * 901}, FILE_MAX, none))
    rule("a room's README has at most %d lines" % README_MAX, long_files(load("lib/*/README.md"), README_MAX, none),
         "a README of 41 lines", long_files({"README.md": "\n" * 41}, README_MAX, none))
    rule("no banned call in lib/", banned_calls(lib, exempt), "getenv() behind a comment and a string",
         len(banned_calls({"x.c": "/* exit( */ x = \"abort(\"; y->free(z); getenv (\"A\");"}, none)) == 1)
    rule("no float is formatted by printf in lib/", float_formats(lib, exempt), "%.3g",
         float_formats({"x.c": 'f("%.3g", x);'}, none))
    rule("every domain string of lib/ is in DOMAINS.md", unlisted_domains(lib, table), "an unlisted domain",
         unlisted_domains({"x.c": 'h("decai.planted.v1");'}, table))
    so = sorted(glob.glob(BUILD + "/libdecai.so.*.*.*"))
    report.ok(len(so) == 1, "the library is built")
    names = undefined(so[0], True) if so else set()
    archive = undefined(BUILD + "/libdecai.a", False)
    rule("nothing that the .so needs ends or prints the process", bad_symbols(names, "libdecai.so", exempt),
         "a call of abort", bad_symbols(names | {"abort"}, "libdecai.so", exempt))
    rule("nothing that the .a needs ends or prints the process", bad_symbols(archive, "libdecai.a", exempt),
         "a call of __printf_chk", bad_symbols(archive | {"perror"}, "libdecai.a", exempt))
    kernels = load("kernels/*.cl", "lib/compute/*.c")
    rule("no fast or native mathematics in kernels", fast_math(kernels), "native_exp()",
         fast_math({"x.cl": "y = native_exp(x);"}))
    rule("no unfinished words in what ships", unfinished(shipped), "a to-do", unfinished({"x.c": "/* TODO */"}))
    for path in ("tests/lsan.supp", "tests/tsan.supp"):
        rows = [r for r in read(path).splitlines() if r and not r.startswith("#")]
        report.ok(len(rows) <= SUPPRESSION_MAX, "%s has at most %d entries" % (path, SUPPRESSION_MAX))
    report.ok(not exempt.unused(), "every exemption lets something pass", "\n".join(exempt.unused()))
    medians(report, "lib", lib)
    medians(report, "all that ships", {p: t for p, t in shipped.items() if p.endswith((".c", ".h"))})
    return report.end()


if __name__ == "__main__":
    sys.exit(main())
