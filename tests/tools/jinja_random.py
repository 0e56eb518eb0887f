"""Random templates for the differential test of expressions and statements.

Each is made from a seed, small, and mostly well formed; what it does to the
values is up to chance, so that errors are as frequent as results. Nothing is
generated whose result Python does not define (addresses, hash order, time).
"""
import random

NAMES = ("a", "b", "s", "t", "n", "f", "l", "d", "u", "e", "m", "none_", "ns")
VARIABLES = {
    "a": 7, "b": -3, "s": "Hello, Wörld <b>", "t": " a,b,,c \n\tΣΑΣ ", "n": 0, "f": 2.5, "l": [3, 1, 2], "e": [],
    "d": {"x": 1, "Y": "two", "z": [1, {"k": None}], "items": 5}, "u": "\u00e9\U0001f680x", "none_": None, "yes": True,
    "m": [{"role": "user", "content": "hi", "n": 2}, {"role": "Assistant", "content": None, "n": 1}, {"role": "user", "n": 3.5}],
    "big": 123456789012345678901234567890, "tiny": 5e-324, "frac": 0.1, "mixed": [1, "a", None, 2.0, [1], {"q": 1}],
}
STRINGS = ("", "a", "b", ",", " ", "Hello", "x", "é", "l", "role", "n", "user", "%s-%s", "%d", "%5.2f|%-6s|%x", "{}", "{0}:{1!r}", "{:>6}|{:<4}",
           "{x}", "a-b c", "12", "-7.5", "0x1f", " 3 ", "nan", "A<b>&\"'", "ß ǆ ﬃ", "line\nline2\r\nl3", "\\d", "abcabc", "tab\tx")
FILTERS = ("upper", "lower", "capitalize", "title", "trim", "length", "count", "list", "first", "last", "join", "join(', ')", "join('-', 'n')",
           "sort", "sort(reverse=true)", "sort(attribute='n')", "unique|list", "unique(true)|list", "reverse|list", "min", "max", "sum", "abs", "int",
           "int(5)", "int(base=16)", "float", "float(1.5)", "round", "round(1)", "round(2, 'floor')", "round(0, 'ceil')", "round(-1)", "string", "tojson",
           "tojson(indent=2)", "tojson(sort_keys=true)", "tojson(ensure_ascii=true)", "tojson(separators=(',', ':'))", "default('D')", "default('D', true)", "d(1)", "replace('a', 'b')",
           "replace('l', '', 1)", "replace('', '.')", "indent", "indent(2, true)", "indent('> ', blank=true)", "escape", "e", "safe", "forceescape", "items|list",
           "dictsort", "dictsort(false, 'value')", "dictsort(reverse=true)", "map('upper')|list", "map(attribute='n')|list", "map(attribute='role', default='?')|join",
           "map('string')|join('+')", "select|list", "reject('none')|list", "select('odd')|list", "selectattr('n')|list", "selectattr('role', 'equalto', 'user')|list",
           "rejectattr('content', 'none')|list", "rejectattr('n', '>', 1)|list", "batch(2)|list", "batch(2, 'f')|list", "slice(2)|list", "slice(2, 0)|list", "groupby('role')",
           "groupby('n')|length", "truncate(5)", "truncate(5, true, '..', 0)", "center(9)", "wordcount", "urlencode", "xmlattr", "format(1, 'b')", "format(a=1)",
           "attr('x')", "filesizeformat", "filesizeformat(true)", "reverse", "max(attribute='n')", "min('n')", "items|map('first')|list", "trim('a ')")
TESTS = ("defined", "undefined", "none", "string", "number", "integer", "float", "mapping", "sequence", "iterable", "boolean", "true", "false", "odd", "even",
         "divisibleby(2)", "divisibleby 3", "lower", "upper", "callable", "escaped", "eq(1)", "ne 2", "gt(1)", "ge 2", "lt('b')", "le(3)", "sameas(none)",
         "sameas true", "in([1, 'a', 7])", "in('Hello')", "filter", "test", "equalto('x')")
METHODS = ("upper()", "lower()", "strip()", "strip('a ')", "lstrip()", "rstrip('\\n')", "split()", "split(',')", "split(',', 1)", "rsplit(' ', 1)", "rsplit()", "splitlines()",
           "splitlines(true)", "replace('a', 'XX')", "replace('l', 'L', 1)", "startswith('H')", "startswith(('a', 'H'))", "endswith('c', 0, 3)", "find('l')", "rfind('l')", "find('l', 3)",
           "index('a')", "count('a')", "count('')", "join(['x', 'y'])", "join('ab')", "title()", "capitalize()", "swapcase()", "zfill(6)", "center(8, '*')", "ljust(7)", "rjust(7, '.')",
           "isdigit()", "isalpha()", "isalnum()", "isspace()", "isupper()", "islower()", "istitle()", "isnumeric()", "isidentifier()", "partition(',')", "rpartition('l')", "removeprefix('He')",
           "removesuffix('c')", "expandtabs(4)", "format(1, 2)", "format('é', x=3)", "encode", "get('x')", "get('q', 'dflt')", "keys()|list", "values()|list", "items()", "items()|list", "keys()",
           "copy()", "append(1)", "pop()", "update({})", "index(1)", "count(1)", "x", "role", "n", "0", "1.k", "_private", "__class__", "missing", "real", "isprintable()", "casefold")


# What gives a value of a kind, and what usually works on one.
ATOMS = {
    "text": ("s", "t", "u", "d.Y", "m[0].role", "m[0].content", "'%'", "s ~ a", "l|join('-')", "s[1:4]", "v|string", "m[1].role", "'a,b c'", "t"),
    "number": ("a", "b", "n", "f", "frac", "l[0]", "m[0].n", "s|length", "l|length", "2", "10", "-1", "0.5", "3", "a + 1", "l|sum", "d.x", "true"),
    "list": ("l", "m", "e", "mixed", "[1, 'b', 2.5]", "s|list", "range(4)|list", "m|map(attribute='n')|list", "d|list", "t.split(',')", "l + l", "(1, 2)", "['b', 'A', 'c']", "l[1:]"),
    "dict": ("d", "m[0]", "{'x': 1, 'b': [1, none]}", "m[1]", "dict(x=1, y=s)", "{'k': s, 1: 2.0}"),
}
FILTERS_OF = {
    "text": ("upper", "lower", "capitalize", "title", "trim", "length", "list", "first", "last", "join('.')", "reverse", "int", "int(5)", "int(base=16)", "float", "string", "tojson",
             "default('D', true)", "replace('a', 'b')", "replace('l', '', 1)", "replace('', '.')", "indent", "indent(2, true)", "indent('> ', blank=true)", "e", "safe", "forceescape", "truncate(5)",
             "truncate(5, true, '..', 0)", "center(9)", "wordcount", "urlencode", "trim('a ')", "batch(2)|list", "slice(2)|list", "sort", "unique|list", "format(1, 2)", "tojson(ensure_ascii=true)"),
    "number": ("abs", "int", "float", "round", "round(1)", "round(2, 'floor')", "round(0, 'ceil')", "round(-1)", "string", "tojson", "default(1)", "filesizeformat", "filesizeformat(true)", "e", "upper", "center(5)"),
    "list": ("length", "first", "last", "join", "join(', ')", "sort", "sort(reverse=true)", "unique|list", "reverse|list", "max", "min", "sum", "tojson", "tojson(indent=2)", "list", "map('string')|join('+')",
             "select|list", "reject('none')|list", "select('number')|list", "select('in', [1, 'a'])|list", "batch(2)|list", "batch(2, 'f')|list", "slice(2)|list", "slice(2, 0)|list", "map('upper')|list",
             "map('default', 0)|list", "string", "selectattr('n')|list", "selectattr('role', 'equalto', 'user')|list", "rejectattr('content', 'none')|list", "map(attribute='role', default='?')|join",
             "groupby('role')", "map(attribute='n')|list", "rejectattr('n', 'gt', 1)|list", "sort(attribute='n')", "join('-', 'role')", "groupby('n')|length", "map('tojson')|join"),
    "dict": ("length", "list", "items|list", "dictsort", "dictsort(false, 'value')", "dictsort(reverse=true)", "tojson", "tojson(indent=2)", "tojson(sort_keys=true)", "tojson(separators=(',', ':'))", "string",
             "first", "xmlattr", "urlencode", "items|map('first')|list", "map('upper')|list", "default({})"),
}
METHODS_OF = {
    "text": tuple(x for x in METHODS if x.endswith(")") and not x.startswith(("get(", "keys", "values", "items", "copy", "append", "pop", "update", "count(1", "index(1"))),
    "number": ("real", "imag", "x", "conjugate()"), "list": ("count(1)", "index(1)", "copy()", "0", "x"),
    "dict": ("get('x')", "get('q', 'dflt')", "keys()|list", "values()|list", "items()", "items()|list", "keys()", "values()", "copy()", "x", "role", "items", "missing"),
}
KINDS = ("text", "text", "number", "list", "dict")


class Maker:
    def __init__(self, seed):
        self.r = random.Random(seed)
        self.loops = 0

    def pick(self, items):
        return self.r.choice(items)

    def literal(self):
        r = self.r.random()
        if r < 0.4:
            return repr_jinja(self.pick(STRINGS))
        if r < 0.6:
            return self.pick(("0", "1", "2", "3", "10", "255", "1000000", "9007199254740993"))
        if r < 0.75:
            return self.pick(("0.5", "1.0", "2.675", "1e3", "1e-9", "1_000", "0x10", "3.14159", "1e22", "123456.789"))
        if r < 0.85:
            return self.pick(("true", "false", "none", "True", "None"))
        return self.pick(("[%s, %s]", "(%s, %s)", "{'x': %s, 1: %s}", "[[%s], {'k': %s}]")) % (self.expr(3), self.expr(3))

    def name(self):
        if self.loops and self.r.random() < 0.4:
            return self.pick(("i", "loop.index", "loop.last", "loop.first", "loop.revindex0", "loop.length", "loop.previtem", "loop.nextitem", "loop.cycle(1, 'b')", "loop.changed(i)", "loop.depth"))
        return self.pick(tuple(VARIABLES) + ("undefined_name", "ns.v", "v"))

    def atom(self, kind):
        """A value that is mostly of the kind."""
        r = self.r.random()
        if r < 0.07:
            return "(" + self.name() + ")"
        if r < 0.09:
            return "(" + self.literal() + ")"
        return "(" + self.pick(ATOMS[kind]) + ")"

    def expr(self, depth=0):
        r, kind = self.r.random(), self.pick(KINDS)
        if depth > 3 or r < 0.06:
            return self.literal()
        if r < 0.12:
            return self.name()
        if r < 0.36:
            return "%s|%s" % (self.atom(kind), self.pick(FILTERS_OF[kind] if self.r.random() < 0.95 else FILTERS))
        if r < 0.5:
            return "%s.%s" % (self.atom(kind), self.pick(METHODS_OF[kind] if self.r.random() < 0.95 else METHODS))
        if r < 0.57:
            return "%s is %s%s" % (self.atom(kind), self.pick(("", "", "not ")), self.pick(TESTS))
        if r < 0.62:
            return "(%s ~ %s)" % (self.expr(depth + 1), self.expr(depth + 1))
        if r < 0.69:
            return "(%s %s %s)" % (self.atom("number"), self.pick("+ - * / // % **".split()), self.atom("number"))
        if r < 0.73:
            return "(%s + %s)" % (self.atom(kind), self.atom(kind))
        if r < 0.75:
            return "(%s * %s)" % (self.atom(self.pick(("text", "list"))), self.pick(("2", "0", "-1", "3")))
        if r < 0.82:
            return "(%s %s %s)" % (self.atom(kind), self.pick(("==", "!=", "<", "<=", ">", ">=")), self.atom(kind))
        if r < 0.85:
            return "(%s %s %s)" % (self.expr(depth + 1), self.pick(("in", "not in")), self.atom(self.pick(("list", "dict"))))
        if r < 0.88:
            return "(%s %s %s)" % (self.expr(depth + 1), self.pick(("and", "or")), self.expr(depth + 1))
        if r < 0.92:
            return "(%s if %s else %s)" % (self.expr(depth + 1), self.expr(depth + 1), self.expr(depth + 1))
        if r < 0.96:
            part = lambda: self.pick(("", "", "1", "-1", "2", "0", "-2", "99"))
            return "%s[%s:%s%s]" % (self.atom(self.pick(("text", "list"))), part(), part(), self.pick(("", "", ":", ":2", ":-1", ":-2")))
        if r < 0.98:
            return "%s[%s]" % (self.atom(kind), self.pick(("0", "-1", "'x'", "'role'", "'n'", "1.0", "true", "none", "s", "99", "'upper'", "'items'")))
        return self.pick(("range(4)|list", "range(1, 9, 3)|list", "range(3)", "range(5, 0, -2)|join", "dict(x=1, y=[2])", "namespace(q=1).q", "joiner('|')()", "cycler(1, 2).next()", "-a", "+b", "1 < a < 10",
                          "2 ** 3 ** 2", "-2 ** 2", "not a", "s is string and a is number", "'%s|%5.1f|%-4d|' % (s, f, a)", "'%(x)s' % d", "'{:>8.3f}|{:<5}|{!r:^9}'.format(f, a, s)", "'%x %o %e %g' % (a, a, f, frac)"))

    def tag(self, kind, text):
        left, right = self.pick(("", "", "-", "+")), self.pick(("", "", "-", "+"))
        if kind == "{":
            right = right.replace("+", "")
        return "{%s%s %s %s%s" % (kind, left, text, right, "}}" if kind == "{" else "%}")

    def body(self, depth=0):
        return "".join(self.statement(depth) for _ in range(self.r.randrange(1, 4)))

    def statement(self, depth):
        r = self.r.random()
        if depth > 2 or r < 0.42:
            return self.tag("{", self.expr())
        if r < 0.52:
            return self.pick(("text", "  \n", "\n", " x \n  ", "\n\n  ", "{# c #}\n", "{#- c -#} ", "  {#+ c #}", "{{ '{{' }}", "{% raw %}{{ x }}\n{% endraw %}", "é\t"))
        if r < 0.62:
            return self.tag("%", "set %s = %s" % (self.pick(("v", "v", "a", "ns.v", "v, w")), self.expr()))
        if r < 0.66:
            return self.tag("%", "set v" + self.pick(("", " | upper", "|trim|length"))) + self.body(depth + 1) + self.tag("%", "endset")
        if r < 0.76:
            out = self.tag("%", "if " + self.expr()) + self.body(depth + 1)
            if self.r.random() < 0.4:
                out += self.tag("%", "elif " + self.expr()) + self.body(depth + 1)
            if self.r.random() < 0.5:
                out += self.tag("%", "else") + self.body(depth + 1)
            return out + self.tag("%", "endif")
        if r < 0.88:
            return self.loop(depth)
        if r < 0.92:
            self_loops, self.loops = self.loops, 0
            out = self.tag("%", "macro f(p, q=%s)" % self.expr(3)) + "[{{ p }}{{ q }}{{ %s }}]" % self.pick(("varargs", "kwargs", "v", "a", "caller is defined", "ns.v", "caller()")) + self.body(depth + 1) + self.tag("%", "endmacro")
            self.loops = self_loops
            return out + self.tag("{", "f(%s)" % self.pick(("", "1", "1, 2", "1, 2, 3", "q=2", "1, z=3", "p=s", "*l", "**d")))
        if r < 0.94:
            return self.tag("%", "with v = %s, k = v" % self.expr()) + self.body(depth + 1) + self.tag("%", "endwith")
        if r < 0.96:
            return self.tag("%", "filter " + self.pick(("upper", "trim", "replace('a', v|string)", "length", "indent(2)"))) + self.body(depth + 1) + self.tag("%", "endfilter")
        if r < 0.98:
            return ("{% macro g() %}<{{ caller(1) }}>{% endmacro %}" + self.tag("%", "call%s g()" % self.pick(("(x)", "", "(x, y=2)"))) + "{{ x }}" + self.tag("%", "endcall"))
        return self.pick(("{% generation %}" + self.tag("{", self.expr()) + "{% endgeneration %}", "{% print a, s %}", "{% block bl" + str(self.r.randrange(10 ** 6)) + " %}{{ v }}{{ a }}{% endblock %}"))

    def loop(self, depth):
        target, over = self.pick((("i", self.expr(2)), ("i", "l"), ("i", "m"), ("i", "range(3)"), ("k, i", "d.items()"), ("i", "s"), ("k, i", "d|items"), ("i", "m|selectattr('n')"), ("i", "d"), ("k, i", "d|dictsort")))
        tail = self.pick(("", "", "", " if i", " if i is defined and i != 2", " recursive"))
        self.loops += 1
        inside = self.body(depth + 1)
        if self.r.random() < 0.2:
            inside += "{%% if %s %%}{%% %s %%}{%% endif %%}" % (self.expr(2), self.pick(("break", "continue"))) + self.body(depth + 1)
        if tail == " recursive" and self.r.random() < 0.5:
            inside += "{% if loop.depth < 3 %}{{ loop([1, 2]) }}{% endif %}"
        self.loops -= 1
        out = self.tag("%", "for %s in %s%s" % (target, over, tail)) + inside
        if self.r.random() < 0.25:
            out += self.tag("%", "else") + self.body(depth + 1)
        return out + self.tag("%", "endfor")


def repr_jinja(s):
    return "'" + s.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t") + "'"


def template(seed):
    m = Maker(seed)
    start = m.pick(("", "", "{% set ns = namespace(v=1) %}", "{%- set v = 'V' -%}\n"))
    return start + (m.tag("{", m.expr()) if seed % 3 == 0 else m.body())
