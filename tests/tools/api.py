"""The public headers, read: bindings/api.json, its checks and its controls.

  api.py --write   write bindings/api.json and the Python type stubs
  api.py --check   the committed files equal what the headers say
  api.py --gate    TAP: --check, clang's view of the same headers, growth since
                   the last release, and planted faults that must be found

The grammar is small on purpose (include/decai/base.h shows all of it): include
guards, #include, the extern "C" guard, `#define DECAI_NAME <integer>` with an
optional trailing doc, documented typedefs of handles and function pointers,
documented DECAI_API prototypes. Anything else is refused with file:line.

api.json is written with one item a line, so that a diff shows one change a
line; it is what decai_api_json() returns, and what Python builds prototypes
from.
"""
import glob
import json
import os
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

API_JSON = "bindings/api.json"
RELEASED = "bindings/api-released.json"
PYI = "bindings/python/decai/__init__.pyi"

VERBS = set("create open load destroy retain get set count at add remove encode decode parse format hash sign "
            "verify recover prove start next wait cancel run submit take settle audit".split())
# Functions without a verb: names, versions and the two views of a task.
NO_VERB = {"decai_version", "decai_error_name", "decai_error_detail", "decai_api_json", "decai_task_fd",
           "decai_task_progress"}
SCALARS = {"int32_t", "int64_t", "uint32_t", "uint64_t", "uint8_t", "uint16_t", "size_t", "double", "float"}
RESULTS = {"int32_t", "const char *", "void"}


class Refused(Exception):
    pass


# ---- the scanner -----------------------------------------------------------

PLAIN = [  # what a header may hold beside documented items
    re.compile(r"\s+"),
    re.compile(r"/\*(?!\*).*?\*/", re.S),
    re.compile(r"#ifndef (\w+_H)\n#define \1\n"),
    re.compile(r"#endif(?: /\* .*? \*/)?\n"),
    re.compile(r"#include (?:<[\w/.]+>|\"decai/\w+\.h\")\n"),
    re.compile(r"#if defined\(_WIN32\)\n#define DECAI_API\n#else\n"
               r"#define DECAI_API __attribute__\(\(visibility\(\"default\"\)\)\)\n#endif\n"),
    re.compile(r"#ifdef __cplusplus\n(?:extern \"C\" \{|\})\n#endif\n"),
]
DEFINE = re.compile(r"#define (DECAI_[A-Z0-9_]+) +(\(?-?(?:0[xX][0-9a-fA-F]+|[0-9]+)[uUlL]*\)?)"
                    r"[ \t]*(?:/\*\*<(.*?)\*/)?[ \t]*\n", re.S)
DOC = re.compile(r"/\*\*(?!<)(.*?)\*/\s*", re.S)
HANDLE = re.compile(r"typedef struct (decai_[a-z0-9_]+) (decai_[a-z0-9_]+);")
FUNCTION_TYPE = re.compile(r"typedef ([\w ]+\**) ?\(\*(decai_[a-z0-9_]+)\)\(([^()]*)\);")
FUNCTION = re.compile(r"DECAI_API ((?:const )?\w+ ?\**) ?(decai_[a-z0-9_]+)\(([^()]*)\);")


def squeeze(text):
    return re.sub(r"\s+", " ", text).strip()


def number(text):
    return int(re.sub(r"[()uUlL]", "", text), 0)


def where(path, text, pos):
    return "%s:%d" % (path, text.count("\n", 0, pos) + 1)


def c_type(text):
    """One spelling of a type: `const char *`, `decai_key **`, `const uint8_t *const *`."""
    text = re.sub(r"\s*\*\s*", "*", squeeze(text)).replace("*const", "* const ")
    base = text.rstrip("* ")
    match = re.match(r"^([\w ]+?)(\*.*)?$", text)
    base, stars = match.group(1), match.group(2) or ""
    stars = stars.replace("* const ", "*const ").replace(" ", "").replace("*const*", "*const *")
    return (base + " " + stars).strip()


def parse_args(text, at):
    text = squeeze(text)
    if text == "void":
        return []
    args = []
    for part in text.split(","):
        match = re.match(r"^(.*?[\s*])(\w+)$", part.strip())
        if not match:
            raise Refused("%s: a parameter without a name: '%s'" % (at, part.strip()))
        args.append({"name": match.group(2), "type": c_type(match.group(1))})
    return args


# ---- doc blocks ------------------------------------------------------------

SECTION = re.compile(r"^(Out|InOut|In): +(?=\S)|^(Returns):\s*")
NOTES = re.compile(r"@(nullable|owned)\b|@(len|lent)\((\w+)\)|@(\w+)")


def doc_lines(raw):
    lines = []
    for i, line in enumerate(raw.split("\n")):
        line = line.rstrip()
        lines.append(line.strip() if i == 0 else re.sub(r"^ \*(?:  | $|$)", "", line) if line.startswith(" *") else line.strip())
    return lines


def argument_doc(text, at):
    """Text and annotations of one argument."""
    found = {}

    def note(match):
        if match.group(4):
            raise Refused("%s: unknown annotation @%s" % (at, match.group(4)))
        if match.group(2):
            found[match.group(2)] = match.group(3)
        else:
            found[match.group(1)] = True
        return ""
    return squeeze(NOTES.sub(note, text)), found


def parse_doc(raw, names, at):
    """{doc, returns, thread, since, args: name -> (dir, doc, notes)} of a prototype."""
    result = {"doc": [], "returns": [], "args": {}}
    tail = re.search(r"^[ \t]*\*[ \t]*@thread (any|one at a time) +@since (\d+\.\d+)\s*$", raw, re.M)
    if not tail:
        raise Refused("%s: the doc block needs a last line '@thread any|one at a time  @since X.Y'" % at)
    result["thread"], result["since"] = tail.group(1), tail.group(2)
    mode, column, current = "doc", 0, None
    for line in doc_lines(raw[:tail.start()]):
        head = SECTION.match(line)
        if head:
            mode = head.group(1) or "returns"
            column = head.end()
            line = " " * column + line[column:]
            current = None
        elif line and not line.startswith(" ") and mode != "doc":
            mode = "doc"                      # a paragraph after the sections
        text = line.strip()
        if mode in ("doc", "returns"):
            result[mode].append(text)
        elif text:
            indent = len(line) - len(line.lstrip())
            if indent == column:
                current = text.split()[0]
                if current not in names:
                    raise Refused("%s: the doc names '%s', which is no parameter" % (at, current))
                if current in result["args"]:
                    raise Refused("%s: '%s' is documented twice" % (at, current))
                result["args"][current] = [mode.lower(), text[len(current):]]
            elif indent > column and current:
                result["args"][current][1] += " " + text
            else:
                raise Refused("%s: line out of its column in %s: '%s'" % (at, mode, text))
    for name, (direction, text) in result["args"].items():
        result["args"][name] = (direction,) + argument_doc(text, at)
    result["doc"] = re.sub(r" ?\n ?", "\n", "\n\n".join(
        squeeze(p) for p in re.split(r"\n\n+", "\n".join(result["doc"])) if p.strip()))
    result["returns"] = squeeze(" ".join(result["returns"]))
    return result


# ---- one function -----------------------------------------------------------

def is_handle(base, handles):
    return base in handles


def check_arg(arg, following, handles, function_types, at):
    """The rules that tie a type to its direction; fills `kind`."""
    kind, base = arg["type"], re.sub(r"\bconst\b|\*", "", arg["type"]).strip()
    stars, fail = kind.count("*"), lambda why: Refused("%s: %s: %s" % (at, arg["name"], why))
    if base not in SCALARS | {"char", "void"} | handles | function_types:
        raise fail("type '%s' is not of this interface" % kind)
    out = arg["dir"] != "in"
    if out and (stars == 0 or (stars == 1 and kind.startswith("const "))):
        raise fail("an output needs a pointer that may be written")
    if not out and stars == 1 and not kind.startswith("const ") and base not in handles and base != "void":
        raise fail("an input behind a pointer is const")
    if "owned" in arg and not (stars == 2 and base in handles):
        raise fail("@owned is for handles that come out")
    if base in handles and stars == 2 and arg["dir"] == "out" and "owned" not in arg and "len" not in arg:
        raise fail("a handle that comes out is @owned")
    if stars == 0 and base in handles | {"void", "char"}:
        raise fail("'%s' by value" % base)
    if out and stars == 2 and base in SCALARS and "lent" not in arg:
        raise fail("memory that is shown needs @lent(...)")
    if "lent" in arg:
        if not out or kind != "const uint8_t **" or not following or (following[0]["name"], following[0]["type"]) != (arg["lent"], "size_t *"):
            raise fail("@lent(%s): a const uint8_t ** that comes out, its size_t * right behind it" % arg["lent"])
    if "len" in arg:
        if not following or following[0]["name"] != arg["len"]:
            raise fail("@len(%s): the length must come right behind the buffer" % arg["len"])
        if following[0]["type"] != "size_t":
            raise fail("@len(%s): the length is a size_t" % arg["len"])
        if out and len(following) > 1 and following[1]["type"] == "size_t *":
            arg["written"] = following[1]["name"]
    elif stars == 1 and not out and base in SCALARS | {"void"} and kind.startswith("const "):
        raise fail("an input buffer needs @len(...)")


def build_function(match, raw_doc, handles, function_types, header, at):
    name, args = match.group(2), parse_args(match.group(3), at)
    result = c_type(match.group(1))
    doc = parse_doc(raw_doc, [a["name"] for a in args], at)
    if result not in RESULTS:
        raise Refused("%s: %s returns '%s'; allowed: %s" % (at, name, result, ", ".join(sorted(RESULTS))))
    if result != "void" and not doc["returns"]:
        raise Refused("%s: %s: no 'Returns:'" % (at, name))
    if not doc["doc"]:
        raise Refused("%s: %s: the doc block does not say what it does" % (at, name))
    if name not in NO_VERB and not VERBS & set(name.split("_")[1:]):
        raise Refused("%s: %s: no verb of the closed list in its name" % (at, name))
    lengths = {notes.get("len") for _, _, notes in doc["args"].values()}
    for arg in args:
        if arg["name"] in doc["args"]:
            arg["dir"], text, notes = doc["args"][arg["name"]]
            arg.update(notes)
            if text:
                arg["doc"] = text
        elif arg["name"] in lengths:
            arg["dir"] = "in"
        else:
            raise Refused("%s: %s: '%s' is not documented" % (at, name, arg["name"]))
    for arg in args:
        if arg["name"] in lengths and "*" not in arg["type"]:
            arg["dir"] = "in"                 # a capacity may stand beside its buffer
        if arg["type"].count("*") == 1 and re.sub(r"const |[* ]", "", arg["type"]) in handles:
            arg["dir"] = "in"                 # a handle goes in, also where its object changes
    for i, arg in enumerate(args):
        check_arg(arg, args[i + 1:], handles, function_types, at)
    return {"name": name, "header": header, "result": result, "args": args, "doc": doc["doc"],
            "returns": doc["returns"], "thread": doc["thread"], "since": doc["since"]}


def declared(pattern, include):
    """Names of a kind of typedef in all headers: a header may use another's handle."""
    texts = (read_text(p) for p in sorted(glob.glob(os.path.join(include, "decai", "*.h"))))
    return {m.group(2) for text in texts for m in pattern.finditer(text)}


def parse_header(path, header, known, all_handles, all_kinds):
    """Append what one header declares to `known` (see parse_tree)."""
    with open(path, encoding="utf-8") as f:
        text = f.read()
    pos, pending = 0, None                       # pending: a doc block and where it is
    while pos < len(text):
        at = where(path, text, pos)
        if pending is None:
            plain = next((m for m in (p.match(text, pos) for p in PLAIN) if m), None)
            define = DEFINE.match(text, pos)
            doc = DOC.match(text, pos)
            if plain:
                pos = plain.end()
            elif define:
                known["constants"].append({"name": define.group(1), "value": number(define.group(2)), "header": header,
                                           "doc": squeeze(re.sub(r"\n \*", "\n", define.group(3) or ""))})
                pos = define.end()
            elif doc:
                pending, pos = doc.group(1), doc.end()
            else:
                raise Refused("%s: outside the grammar: '%s'" % (at, text[pos:pos + 60].split("\n")[0]))
            continue
        handle, kind, function = (p.match(text, pos) for p in (HANDLE, FUNCTION_TYPE, FUNCTION))
        if handle:
            if handle.group(1) != handle.group(2):
                raise Refused("%s: a handle's struct has the handle's name" % at)
            known["handles"].append({"name": handle.group(1), "header": header, "doc": squeeze(pending.replace("\n *", "\n"))})
        elif kind:
            known["function_types"].append({"name": kind.group(2), "result": c_type(kind.group(1)), "header": header,
                                            "args": squeeze(kind.group(3)), "doc": squeeze(pending.replace("\n *", "\n"))})
        elif function:
            known["functions"].append(build_function(
                function, pending, all_handles, all_kinds, header, at))
        else:
            raise Refused("%s: a doc block must be followed by a typedef or a DECAI_API prototype, not '%s'"
                          % (at, text[pos:pos + 60].split("\n")[0]))
        pos = (handle or kind or function).end()
        pending = None
    if pending is not None:
        raise Refused("%s: a doc block with nothing after it" % path)


def fix_sizes(functions, constants):
    """An output of one fixed size says it where its length is documented: "32" or a constant."""
    for f in functions:
        docs = {a["name"]: a.get("doc", "") for a in f["args"]}
        for a in f["args"]:
            if a["dir"] == "out" and "len" in a and "written" not in a:
                said = re.match(r"(?:must be )?(?:(\d+)|(DECAI_\w+))\b", docs[a["len"]])
                value = said and (int(said.group(1)) if said.group(1) else constants.get(said.group(2)))
                if value is None:
                    raise Refused("%s.h: %s: the doc of %s must begin with its size, a number or a constant"
                                  % (f["header"], f["name"], a["len"]))
                a["fixed"] = value


def header_order(include):
    """base.h, then the others as decai.h lists them; each must be listed once."""
    with open(os.path.join(include, "decai.h"), encoding="utf-8") as f:
        listed = re.findall(r'^#include "decai/(\w+)\.h"$', f.read(), re.M)
    there = sorted(os.path.basename(p)[:-2] for p in glob.glob(os.path.join(include, "decai", "*.h")))
    if sorted(listed) != there:
        raise Refused("include/decai.h: lists %s, the folder holds %s" % (sorted(listed), there))
    return ["base"] + sorted(n for n in listed if n != "base")


# ---- options ---------------------------------------------------------------

OPTION = re.compile(r'OPTION\("([a-z0-9_.]+)", (I64|F64|STR|BYTES|FN), ([^,]+), ([^,]+), ([^,]+), '
                    r'"((?:[^"\\]|\\.)*)", ("(?:[^"\\]|\\.)*"(?:\s*"(?:[^"\\]|\\.)*")*)\)')
LIMITS = {"INT64_MAX": 2**63 - 1, "INT64_MIN": -2**63, "INT32_MAX": 2**31 - 1, "INT32_MIN": -2**31,
          "UINT32_MAX": 2**32 - 1, "SIZE_MAX": 2**64 - 1}


def value_of(text, constants, at):
    """A C number or a small expression of numbers, constants and limits."""
    expr = text.strip()
    for name in set(re.findall(r"\b[A-Z][A-Z0-9_]+\b", expr)):
        value = constants.get(name, LIMITS.get(name))
        if value is None:
            raise Refused("%s: unknown name %s in an option's bounds" % (at, name))
        expr = re.sub(r"\b%s\b" % name, "(%d)" % value, expr)
    expr = re.sub(r"(?<=[0-9a-fA-F])(?:[uU]?[lL]{1,2}|[uU])\b", "", expr)
    expr = re.sub(r"(?<=[0-9.])[fF]\b", "", expr) if "x" not in expr else expr
    if not re.fullmatch(r"[0-9a-fA-FxX.eE()<>+*/ -]+", expr):
        raise Refused("%s: cannot read the number '%s'" % (at, text))
    return eval(expr, {"__builtins__": {}})       # only digits and operators are left


def parse_options(lib, constants):
    rows = []
    for path in sorted(glob.glob(os.path.join(lib, "*", "opts.def"))):
        with open(path, encoding="utf-8") as f:
            text = f.read()
        pos = 0
        while pos < len(text):
            at = where(path, text, pos)
            plain = re.compile(r"\s+|/\*.*?\*/", re.S).match(text, pos)
            match = OPTION.match(text, pos)
            if plain:
                pos = plain.end()
                continue
            if not match:
                raise Refused("%s: not an OPTION(...) row: '%s'" % (at, text[pos:pos + 60].split("\n")[0]))
            key, kind, low, high, default, default_text, doc = match.groups()
            row = {"name": key, "type": kind, "room": path.split(os.sep)[-2]}
            if kind != "FN":
                row["min"], row["max"] = value_of(low, constants, at), value_of(high, constants, at)
                row["default"] = default_text if kind in ("STR", "BYTES") else value_of(default, constants, at)
                if kind == "F64":
                    row.update({k: float(row[k]) for k in ("min", "max", "default")})
            row["doc"] = json.loads('"%s"' % "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', doc)))
            rows.append(row)
            pos = match.end()
    names = [r["name"] for r in rows]
    if len(set(names)) != len(names):
        raise Refused("lib/*/opts.def: an option is listed twice: %s" % sorted(n for n in names if names.count(n) > 1))
    return rows


# ---- the whole ----------------------------------------------------------------

def parse_tree(root="."):
    include = os.path.join(root, "include")
    known = {"constants": [], "handles": [], "function_types": [], "functions": []}
    kinds = declared(HANDLE, include), declared(FUNCTION_TYPE, include)
    for name in header_order(include):
        parse_header(os.path.join(include, "decai", name + ".h"), name, known, *kinds)
    for what in known:
        names = [x["name"] for x in known[what]]
        if len(set(names)) != len(names):
            raise Refused("%s: declared twice: %s" % (what, sorted(n for n in names if names.count(n) > 1)))
    constants = {c["name"]: c["value"] for c in known["constants"]}
    fix_sizes(known["functions"], constants)
    version = ".".join(str(constants["DECAI_VERSION_" + p]) for p in ("MAJOR", "MINOR", "PATCH"))
    errors = [{k: c[k] for k in ("name", "value", "doc", "header")} for c in known["constants"]
              if c["name"].startswith("DECAI_E_")]
    return {"library": "decai", "version": version, "node": "DECAI_%d" % constants["DECAI_VERSION_MAJOR"],
            "constants": [c for c in known["constants"] if not c["name"].startswith("DECAI_E_")],
            "errors": errors, "handles": known["handles"], "function_types": known["function_types"],
            "functions": known["functions"], "options": parse_options(os.path.join(root, "lib"), constants)}


def dump(api):
    out = ["{"]
    keys = list(api)
    for key in keys:
        comma = "," if key != keys[-1] else ""
        if isinstance(api[key], list):
            rows = [json.dumps(x, ensure_ascii=True, separators=(",", ":")) for x in api[key]]
            out.append('"%s":[' % key)
            out += [r + ("," if i + 1 < len(rows) else "") for i, r in enumerate(rows)]
            out.append("]" + comma)
        else:
            out.append('"%s":%s%s' % (key, json.dumps(api[key]), comma))
    return "\n".join(out + ["}"]) + "\n"


def load(path):
    with open(path, encoding="utf-8") as f:
        return json.load(f)


def read_text(path):
    if not os.path.exists(path):
        return None
    with open(path, encoding="utf-8") as f:
        return f.read()


def stubs(api):
    import pyi
    return pyi.generate(api)


# ---- clang's view of the same headers ----------------------------------------

def clang_functions(root="."):
    """{name: (result, [(parameter, type)])} and the handles, by clang's AST."""
    clang = next((c for c in ("clang", "clang-14", "clang-15", "clang-16") if
                  subprocess.run(["sh", "-c", "command -v " + c], stdout=subprocess.DEVNULL).returncode == 0), None)
    if not clang:
        return None, None
    out = subprocess.run([clang, "-x", "c", "-std=c11", "-I" + os.path.join(root, "include"), "-Xclang", "-ast-dump=json",
                          "-fsyntax-only", os.path.join(root, "include", "decai.h")],
                         env=dict(os.environ, CCACHE_DISABLE="1"),   # a cache before clang does not see what headers it reads
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=True).stdout
    functions, handles = {}, set()
    for node in json.loads(out)["inner"]:
        if node.get("kind") == "FunctionDecl" and node.get("name", "").startswith("decai_"):
            params = [(p.get("name", ""), c_type(p["type"]["qualType"])) for p in node.get("inner", [])
                      if p["kind"] == "ParmVarDecl"]
            functions[node["name"]] = (c_type(node["type"]["qualType"].split("(")[0]), params)
        if node.get("kind") == "TypedefDecl" and node["type"]["qualType"].startswith("struct decai_"):
            handles.add(node["name"])
    return functions, handles


def differences(api, functions, handles):
    ours = {f["name"]: (f["result"], [(a["name"], a["type"]) for a in f["args"]]) for f in api["functions"]}
    found = ["%s: headers as read %s, clang %s" % (n, ours.get(n), functions.get(n))
             for n in sorted(set(ours) | set(functions)) if ours.get(n) != functions.get(n)]
    names = {h["name"] for h in api["handles"]}
    return found + ["handle %s: on one side only" % n for n in sorted(names ^ handles)]


def constant_program(api):
    rows = ["_Static_assert(%s == %d, \"%s\");" % (c["name"], c["value"], c["name"])
            for c in api["constants"] + api["errors"] if c["value"] >= -2**31]
    return "#include \"decai.h\"\n" + "\n".join(rows) + "\n"


def compiles(source, root="."):
    cc = os.environ.get("CC", "cc").split()
    return subprocess.run(cc + ["-std=c11", "-I" + os.path.join(root, "include"), "-x", "c", "-fsyntax-only", "-"],
                          input=source.encode(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


# ---- growth ----------------------------------------------------------------

def shrunk(old, new):
    """What the new interface lost or changed of the old one."""
    found = []
    for what, keys in (("constants", ["value"]), ("errors", ["value"]), ("handles", []),
                       ("options", ["type", "min", "max", "default"]),
                       ("function_types", ["result", "args"])):
        now = {x["name"]: x for x in new[what]}
        for item in old.get(what, []):
            other = now.get(item["name"])
            if other is None:
                found.append("%s: %s is gone" % (what, item["name"]))
            else:
                found += ["%s: %s.%s was %r, is %r" % (what, item["name"], k, item.get(k), other.get(k))
                          for k in keys if item.get(k) != other.get(k)]
    now = {f["name"]: f for f in new["functions"]}
    for f in old.get("functions", []):
        g = now.get(f["name"])
        shape = lambda x: (x["result"], [(a["type"], a["dir"]) for a in x["args"]])  # noqa: E731
        if g is None:
            found.append("functions: %s is gone" % f["name"])
        elif shape(f) != shape(g):
            found.append("functions: %s was %s, is %s" % (f["name"], shape(f), shape(g)))
    return found


# ---- the gate --------------------------------------------------------------

PLANTED = [  # (what, header text to put in, what the refusal must mention)
    ("a bool parameter", "/** X.\n *\n *  Returns: 0\n *  In:   a  b\n *  @thread any  @since 0.1\n */\n"
     "DECAI_API int32_t decai_x_get(bool a);\n", "not of this interface"),
    ("an undocumented parameter", "/** X.\n *\n *  Returns: 0\n *  @thread any  @since 0.1\n */\n"
     "DECAI_API int32_t decai_x_get(int32_t a);\n", "not documented"),
    ("a prototype without a doc block", "DECAI_API int32_t decai_x_get(int32_t a);\n", "outside the grammar"),
    ("a function-like macro", "#define DECAI_X(a) (a)\n", "outside the grammar"),
    ("a public struct", "struct decai_x { int a; };\n", "outside the grammar"),
    ("a buffer without its length", "/** X.\n *\n *  Returns: 0\n *  In:   a  b\n *  @thread any  @since 0.1\n */\n"
     "DECAI_API int32_t decai_x_get(const uint8_t *a);\n", "@len"),
    ("memory that is shown without its length", "/** X.\n *\n *  Returns: 0\n *  Out:  a  b\n *  @thread any  @since 0.1\n */\n"
     "DECAI_API int32_t decai_x_get(const uint8_t **a);\n", "@lent"),
    ("a name without a verb", "/** X.\n *\n *  Returns: 0\n *  In:   a  b\n *  @thread any  @since 0.1\n */\n"
     "DECAI_API int32_t decai_x_frobnicate(int32_t a);\n", "verb"),
]


def plant(text):
    """The refusal of base.h plus `text`, or None if it was taken."""
    with tempfile.TemporaryDirectory() as root:
        os.makedirs(os.path.join(root, "include", "decai"))
        source = read_text("include/decai/base.h")
        mark = "#ifdef __cplusplus\n}\n"
        with open(os.path.join(root, "include/decai/base.h"), "w", encoding="utf-8") as f:
            f.write(source.replace(mark, text + "\n" + mark))
        with open(os.path.join(root, "include/decai.h"), "w", encoding="utf-8") as f:
            f.write('#include "decai/base.h"\n')
        try:
            parse_tree(root)
        except Refused as e:
            return str(e)
    return None


def gate_clang(report, api):
    functions, handles = clang_functions()
    name = "clang sees the same functions, parameters, types and handles"
    if functions is None:
        report.skip(name, "clang is not installed")
        return
    found = differences(api, functions, handles)
    report.ok(not found, name, "\n".join(found))
    changed = json.loads(json.dumps(api))
    changed["functions"][-1]["args"][0]["type"] = "int64_t *"
    report.ok(differences(changed, functions, handles), "control: a changed parameter type is seen as different")


def gate(report):
    import tap  # noqa: F401
    try:
        api = parse_tree()
    except Refused as e:
        report.ok(False, "every header is in the grammar", e)
        return
    report.ok(True, "every header is in the grammar: %d functions, %d handles, %d constants, %d options" % (
        len(api["functions"]), len(api["handles"]), len(api["constants"]) + len(api["errors"]), len(api["options"])))
    report.ok(len(api["functions"]) <= 300, "at most 300 exported functions")
    again = subprocess.run([sys.executable, __file__, "--print"], env=dict(os.environ, PYTHONHASHSEED="7"),
                           stdout=subprocess.PIPE, check=False).stdout.decode()
    report.ok(dump(api) == again, "another process with another hash seed writes the same bytes")
    report.ok(read_text(API_JSON) == dump(api), API_JSON + " is what the headers say", "run: make bindings")
    report.ok(read_text(PYI) == stubs(api), PYI + " is what the headers say", "run: make bindings")
    for what, text, mention in PLANTED:
        refusal = plant(text)
        report.ok(refusal and mention in refusal and re.search(r"base\.h:\d+", refusal),
                  "control: %s is refused with file and line" % what, refusal or "it was taken")
    gate_clang(report, api)
    built = compiles(constant_program(api))
    report.ok(built.returncode == 0, "every constant has the value that the compiler sees", built.stdout.decode())
    wrong = constant_program(api).replace("DECAI_E_INVALID == -1,", "DECAI_E_INVALID == -2,")
    report.ok(compiles(wrong).returncode != 0, "control: a wrong constant does not compile")
    smaller = json.loads(json.dumps(api))
    smaller["functions"].pop()
    report.ok(shrunk(api, smaller), "control: a lost function is seen")
    name = "api.json only grows since the last release"
    if os.path.exists(RELEASED):
        found = shrunk(load(RELEASED), api)
        report.ok(not found, name, "\n".join(found))
    else:
        report.skip(name, "there is no release yet: " + RELEASED + " is absent")


def main(args):
    if args == ["--gate"]:
        import tap
        report = tap.Report()
        gate(report)
        return report.end()
    try:
        api = parse_tree()
    except Refused as e:
        print(e, file=sys.stderr)
        return 1
    files = {API_JSON: dump(api), PYI: stubs(api)}
    if args == ["--write"]:
        for path, text in files.items():
            if read_text(path) != text:
                with open(path, "w", encoding="utf-8") as f:
                    f.write(text)
                print("wrote " + path)
        return 0
    if args == ["--print"]:
        sys.stdout.write(files[API_JSON])
        return 0
    if args == ["--check"]:
        stale = [p for p, text in files.items() if read_text(p) != text]
        for p in stale:
            print(p + " is stale: run make bindings", file=sys.stderr)
        return 1 if stale else 0
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
