"""JSON Schemas for tests: tools as people describe them, in our own words, and schemas
made from a seed; and the part of a validator that they need (jsonschema's, where it is
installed, judges too).

    tools()          [(name, schema)]
    made(seed)       one schema
    valid(schema, v) whether a value is valid
    example(schema, random)  a valid value, as plain as the schema allows
"""
import copy
import datetime
import decimal
import fractions
import random
import re

# ---- by hand: what tools take ---------------------------------------------------------


def obj(required=None, **properties):
    names = list(properties)
    return {"type": "object", "properties": properties, "required": names if required is None else required.split(),
            "additionalProperties": False}


S, I, N, B = {"type": "string"}, {"type": "integer"}, {"type": "number"}, {"type": "boolean"}


def text(**more):
    return {"type": "string", **more}


def whole(**more):
    return {"type": "integer", **more}


def array(items, **more):
    return {"type": "array", "items": items, **more}


def one_of(*values):
    return {"enum": list(values)}


def tools():
    address = obj("street city", street=text(description="Street and number"), city=S, zip=text(pattern=r"^[0-9]{5}(-[0-9]{4})?$"))
    tree = {"$defs": {"node": obj("value", value=I, left={"$ref": "#/$defs/node"}, right={"$ref": "#/$defs/node"})}, "$ref": "#/$defs/node"}
    shape = {"oneOf": [obj(kind={"const": "circle"}, radius=N), obj(kind={"const": "box"}, width=N, height=N)]}
    return [
        ("weather", obj("city", city=text(description="Where"), unit=one_of("celsius", "fahrenheit"), days=whole(minimum=1, maximum=14))),
        ("search", obj("query", query=text(minLength=1, maxLength=40), limit=whole(minimum=1, maximum=100, default=10), safe=B)),
        ("send_mail", obj("to subject body", to=array(text(format="email"), minItems=1, maxItems=3), subject=text(maxLength=30), body=S)),
        ("calendar", obj("title start", title=S, start=text(format="date-time"), minutes=whole(exclusiveMinimum=0, maximum=1440),
                         guests=array(S, maxItems=5))),
        ("transfer", obj("to amount", to=text(pattern="^0x[0-9a-fA-F]{8}$"), amount=text(pattern=r"^[0-9]+(\.[0-9]{1,18})?$"), chain=whole(minimum=1))),
        ("stock", obj(symbol=text(pattern="^[A-Z]{1,5}$"), from_=text(format="date"), to=text(format="date"))),
        ("run_code", obj("language source", language=one_of("python", "c", "shell"), source=S, timeout_s=N)),
        ("sql", obj(query=S, arguments=array({"type": ["string", "number", "null", "boolean"]}))),
        ("address", address), ("order", obj("items", items=array(obj("sku count", sku=text(pattern="^[A-Z0-9-]{3,12}$"), count=whole(minimum=1)), minItems=1), ship_to=address)),
        ("tree", tree), ("shape", shape), ("shapes", array(shape, minItems=1, maxItems=4)),
        ("light", obj("room", room=one_of("kitchen", "bath", "attic"), on=B, level=whole(minimum=0, maximum=100), colour=text(pattern="^#[0-9a-f]{6}$"))),
        ("point", {"type": "array", "prefixItems": [N, N], "items": False, "minItems": 2}),
        ("box", {"type": "array", "items": N, "minItems": 4, "maxItems": 4}),
        ("options", {"type": "object", "additionalProperties": {"type": ["string", "integer"]}}),
        ("headers", obj("url", url=text(format="uri"), method=one_of("GET", "POST", "PUT"), headers={"type": "object", "additionalProperties": S})),
        ("config", {"type": "object", "properties": {"name": S, "port": whole(minimum=1, maximum=65535)}, "required": ["name"], "additionalProperties": B}),
        ("anything", {}), ("any_object", {"type": "object"}), ("any_array", {"type": "array"}), ("always", True),
        ("nothing_here", obj()), ("maybe", {"anyOf": [obj(id=I), {"type": "null"}]}), ("nullable", {"type": "string", "nullable": True}),
        ("ids", {"anyOf": [text(format="uuid"), whole(minimum=1)]}), ("net", obj(host=text(format="hostname"), ip=text(format="ipv4"), six=text(format="ipv6"))),
        ("when", obj(at=text(format="time"), every=text(format="duration"))),
        ("merged", {"allOf": [obj("a", a=I), {"properties": {"a": {"minimum": 3}}}]}),
        ("base", {"$defs": {"base": {"type": "object", "properties": {"id": I}, "required": ["id"]}},
                  "allOf": [{"$ref": "#/$defs/base"}, {"type": "object", "properties": {"name": S}, "required": ["name"]}]}),
        ("list", {"definitions": {"list": {"anyOf": [{"type": "null"}, obj(head=I, tail={"$ref": "#/definitions/list"})]}}, "$ref": "#/definitions/list"}),
        ("json", {"$defs": {"v": {"anyOf": [{"type": ["null", "boolean", "number", "string"]}, array({"$ref": "#/$defs/v"}),
                                            {"type": "object", "additionalProperties": {"$ref": "#/$defs/v"}}]}}, "$ref": "#/$defs/v"}),
        ("self", obj("name", name=S, children=array({"$ref": "#"}))),
        ("version", {"const": 3}), ("const_object", {"const": {"a": [1, "x", None], "b": {"c": True}}}), ("mixed", one_of(1, "one", None, True, [1, 2], {"a": "b\n\"\\"})),
        ("celsius", {"type": "number", "minimum": -273.15, "maximum": 1000}), ("share", {"type": "number", "minimum": 0, "maximum": 1}),
        ("open", {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 2.5}), ("below", {"type": "number", "exclusiveMaximum": -0.25}),
        ("year", whole(minimum=-44, maximum=2100)), ("byte", whole(minimum=0, maximum=255)), ("debt", whole(maximum=-1)), ("large", whole(minimum=999, maximum=1000001)),
        ("tags", array(text(pattern="^[a-z]+(-[a-z]+)*$"), maxItems=6)), ("names", array({"type": "string", "enum": ["\u00e9", "\u4e2d", "a\"b", "tab\t"]}, minItems=1)),
        ("free_pattern", text(pattern="foo|ba[rz]$")), ("words", text(pattern=r"^\w+(\s\w+)*$")), ("not_quote", text(pattern='^[^"\\\\]*$')),
        ("mentions", obj(**{"with space": I, "quote\"d": I, "\u00fcber": I, "a/b~c": I})),
        ("many", obj("f07 f13", **{"f%02d" % i: (S, I, B, N)[i % 4] for i in range(20)})),
        ("deep", obj(a=obj(b=obj(c=obj(d=obj(e=array(array(array(I))))))))),
        ("status", obj("state", state=one_of("open", "closed"), reason={"type": ["string", "null"]}, priority=one_of(1, 2, 3))),
        ("browser", {"anyOf": [obj(action={"const": "click"}, x=whole(minimum=0), y=whole(minimum=0)), obj(action={"const": "type"}, text=S),
                               obj(action={"const": "scroll"}, by=whole(minimum=-1000, maximum=1000))]}),
        ("patch", array({"oneOf": [obj(op={"const": "add"}, path=text(pattern="^(/[^/]*)*$"), value={}), obj(op={"enum": ["remove"]}, path=S)]})),
        ("money", obj("price", price={"type": "number", "minimum": 0, "multipleOf": 0.01}, dozen=whole(minimum=12, maximum=144, multipleOf=12))),
        ("fives", {"type": "integer", "multipleOf": 5}), ("quarters", {"type": "number", "multipleOf": 0.25, "minimum": -2, "maximum": 10}),
        ("sixes", {"allOf": [whole(multipleOf=2, minimum=-99), {"multipleOf": 3}]}), ("block", whole(multipleOf=4096, minimum=1)),
        ("tag_set", obj(tags=array(one_of("red", "green", "blue", 3, None), uniqueItems=True))), ("all_of_them", array(one_of(*"abcdefgh"), uniqueItems=True, minItems=7)),
        ("pair", {"$defs": {"side": one_of("left", "right", "top", "left")}, **array({"$ref": "#/$defs/side"}, uniqueItems=True, minItems=1, maxItems=2)}),
        ("at_most_one", array(S, uniqueItems=True, maxItems=1)), ("no_doubles", array({"type": "integer", "enum": [1, 2, "x", 2.5]}, uniqueItems=True)),
        ("environment", {"type": "object", "patternProperties": {"^[A-Z_]+$": S}, "additionalProperties": False}),
        ("scores", obj("by", by={"type": "object", "patternProperties": {"^[a-z]{1,8}$": whole(minimum=0, maximum=10)}, "minProperties": 1})),
        ("labels", {"type": "object", "propertyNames": {"pattern": "^[a-z]+(-[a-z]+)*$"}, "additionalProperties": S}),
        ("some_days", {"type": "object", "propertyNames": one_of("mon", "tue", "we\"d"), "additionalProperties": B, "minProperties": 1}),
        ("short_names", {"type": "object", "propertyNames": text(minLength=2, maxLength=5), "additionalProperties": I}),
        ("change", {"type": "object", "properties": {"name": S, "size": I}, "minProperties": 1, "additionalProperties": False}),
        ("not_empty", {"type": "object", "minProperties": 1}),
        ("types_one", {"oneOf": [{"type": "string"}, {"type": "integer"}, array(S)]}),
    ]


# ---- from a seed -------------------------------------------------------------------------

WORDS = ["id", "name", "kind", "value", "count", "at", "to", "list", "note", "x", "y", "key", "owner", "size"]
PATTERNS = ["^[a-c]{2,4}$", "^(on|off)$", "^[A-Z][a-z]*$", "^\\d{1,3}(,\\d{3})*$", "x+y?", "^v[0-9]+\\.[0-9]+$"]
FORMATS = ["date", "time", "date-time", "uuid", "ipv4", "email", "hostname"]


def made_scalar(r):
    kind = r.randrange(9)
    if kind == 0:
        return r.choice([S, B, {"type": "null"}])
    if kind == 1:
        low = r.randrange(8)
        return text(minLength=low, maxLength=low + r.randrange(12))
    if kind == 2:
        return text(pattern=r.choice(PATTERNS))
    if kind == 3:
        return text(format=r.choice(FORMATS))
    if kind == 4:
        values = [r.choice(WORDS), r.randrange(-50, 50), None, True, r.choice(WORDS) + " \u20ac\"", [1], {"a": r.randrange(9)}]
        return {"enum": values[r.randrange(3):][:1 + r.randrange(4)]}
    if kind == 5:
        return {"const": r.choice(["x", 7, False, None, "\\\n", {"k": []}])}
    low = r.randrange(-10 ** r.randrange(1, 7), 10 ** r.randrange(1, 7))
    s = {"type": "integer" if kind < 8 else "number"}
    if r.randrange(3):
        s[r.choice(["minimum", "exclusiveMinimum"])] = low if kind < 8 else low / 8
    if r.randrange(3):
        s[r.choice(["maximum", "exclusiveMaximum"])] = low + r.randrange(3, 10 ** r.randrange(1, 7)) if kind < 8 else low / 8 + r.randrange(2, 400) / 16
    return s


def made_object(r, depth):
    names = r.sample(WORDS, r.randrange(6))
    s = {"type": "object", "properties": {n: made(r, depth + 1) for n in names}, "required": [n for n in names if r.randrange(2)]}
    more = r.randrange(4)
    if more == 1:
        s["additionalProperties"] = made_scalar(r)
    elif more:
        s["additionalProperties"] = False
    return s


def made_array(r, depth):
    s = {"type": "array", "items": made(r, depth + 1)}
    low = r.randrange(3)
    if r.randrange(2):
        s["minItems"] = low
    if r.randrange(2):
        s["maxItems"] = low + r.randrange(3)
    if not r.randrange(4):
        s["prefixItems"] = [made_scalar(r) for _ in range(r.randrange(1, 3))]
    return s


def made(r, depth=0):
    if not isinstance(r, random.Random):
        r = random.Random(r)
    kind = r.randrange(12) if depth < 3 else 11
    if kind < 4:
        s = made_object(r, depth)
    elif kind < 6:
        s = made_array(r, depth)
    elif kind == 6:
        s = {"anyOf": [made(r, depth + 1) for _ in range(r.randrange(1, 4))]}
    elif kind == 7:
        s = {"allOf": [made_object(r, depth + 1), {"type": "object"}]}
    elif kind == 8:
        s = {"oneOf": [{"type": "null"}, made_object(r, depth + 1), {"type": "integer", "maximum": r.randrange(100)}]}
    elif kind == 9 and depth == 0:
        s = {"$defs": {"t": made(r, 1)}, "type": "object", "properties": {"a": {"$ref": "#/$defs/t"}, "b": {"type": "array", "items": {"$ref": "#/$defs/t"}}},
             "required": ["a"], "additionalProperties": False}
    else:
        s = copy.deepcopy(made_scalar(r))
    if not r.randrange(5):
        s["description"] = "words that say nothing"
    return s


# ---- a small validator ----------------------------------------------------------------------

TYPES = {"null": lambda v: v is None, "boolean": lambda v: isinstance(v, bool), "string": lambda v: isinstance(v, str),
         "array": lambda v: isinstance(v, list), "object": lambda v: isinstance(v, dict),
         "number": lambda v: isinstance(v, (int, float, decimal.Decimal)) and not isinstance(v, bool),
         "integer": lambda v: not isinstance(v, bool) and (isinstance(v, int) or isinstance(v, (float, decimal.Decimal)) and v == int(v))}
HOST = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*"
FORMAT = {
    "date": lambda v: re.fullmatch(r"\d{4}-\d\d-\d\d", v) and datetime.date.fromisoformat(v),
    "time": lambda v: re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d+)?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)", v),
    "date-time": lambda v: "T" in v and FORMAT["date"](v[:10]) and v[10] == "T" and FORMAT["time"](v[11:]),
    "uuid": lambda v: re.fullmatch(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", v),
    "ipv4": lambda v: re.fullmatch(r"\d{1,3}(\.\d{1,3}){3}", v) and all(int(p) < 256 and str(int(p)) == p for p in v.split(".")),
    "ipv6": lambda v: re.fullmatch(r"([0-9a-fA-F]{1,4}:){7}[0-9a-fA-F]{1,4}", v),
    "hostname": lambda v: re.fullmatch(HOST, v), "email": lambda v: re.fullmatch(r"[^@\s\"]+@" + HOST, v),
    "uri": lambda v: re.fullmatch(r"[a-z][a-z0-9+.-]*://[^\s\"<>\\^`{|}]+", v), "duration": lambda v: re.fullmatch(r"P(?=.)(\d+W|(\d+Y)?(\d+M)?(\d+D)?(T(?=.)(\d+H)?(\d+M)?(\d+S)?)?)", v),
}


def same(a, b):
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    return a == b


def resolve(root, ref):
    for part in ref[1:].split("/")[1:]:
        root = root[part.replace("~1", "/").replace("~0", "~")]
    return root


def numbers_hold(s, v):
    low, high, step = s.get("exclusiveMinimum"), s.get("exclusiveMaximum"), s.get("multipleOf")
    if step is not None and (fractions.Fraction(str(v)) / fractions.Fraction(str(step))).denominator != 1:
        return False
    return v >= s.get("minimum", v) and v <= s.get("maximum", v) and (low is None or v > low) and (high is None or v < high)


def valid(s, v, root=None):
    root = s if root is None else root
    if isinstance(s, bool):
        return s
    types = s.get("type")
    if types is not None:
        types = [types] if isinstance(types, str) else types
        if not any(TYPES[t](v) for t in types) and not (v is None and s.get("nullable")):
            return False
    if "enum" in s and not any(same(v, e) for e in s["enum"]) or "const" in s and not same(v, s["const"]):
        return False
    if "$ref" in s and not valid(resolve(root, s["$ref"]), v, root):
        return False
    if not all(valid(k, v, root) for k in s.get("allOf", [])) or "anyOf" in s and not any(valid(k, v, root) for k in s["anyOf"]):
        return False
    if "oneOf" in s and sum(valid(k, v, root) for k in s["oneOf"]) != 1:
        return False
    if isinstance(v, str):
        if not s.get("minLength", 0) <= len(v) <= s.get("maxLength", len(v)) or "pattern" in s and not re.search(s["pattern"], v):
            return False
        return "format" not in s or bool(FORMAT[s["format"]](v))
    if TYPES["number"](v):
        return numbers_hold(s, v)
    if isinstance(v, list):
        prefix = s.get("prefixItems", [])
        rest = s.get("items", True)
        if s.get("uniqueItems") and any(same(a, b) for i, a in enumerate(v) for b in v[:i]):
            return False
        return s.get("minItems", 0) <= len(v) <= s.get("maxItems", len(v)) and all(
            valid(prefix[i] if i < len(prefix) else rest, x, root) for i, x in enumerate(v))
    if isinstance(v, dict):
        own = s.get("properties", {})
        for k, x in v.items():
            if not valid(s.get("propertyNames", True), k, root):
                return False
            of = [p for name, p in s.get("patternProperties", {}).items() if re.search(name, k)]
            if not all(valid(p, x, root) for p in of):
                return False
            if of and k not in own:
                own = {**own, k: True}
        return s.get("minProperties", 0) <= len(v) and all(k in v for k in s.get("required", [])) and all(
            valid(own[k] if k in own else s.get("additionalProperties", True), x, root) for k, x in v.items())
    return True


# ---- values that are plainly valid ------------------------------------------------------------

TEXTS = {"date": "2024-05-31", "time": "23:59:07.5Z", "date-time": "1999-12-31T00:00:00+01:00", "uuid": "123e4567-e89b-12d3-a456-426614174000",
         "ipv4": "192.168.0.255", "ipv6": "2001:db8:0:0:0:ff00:42:8329", "hostname": "a-b.example.org", "email": "first.last@example.org",
         "uri": "https://example.org/a/b?c=d", "duration": "P3DT4H"}
MATCHES = {"^[A-Z_]+$": "HOME", "^[a-z]{1,8}$": "abc", r"^[0-9]{5}(-[0-9]{4})?$": "12345-6789", "^0x[0-9a-fA-F]{8}$": "0xDEADbeef", r"^[0-9]+(\.[0-9]{1,18})?$": "12.50", "^[A-Z]{1,5}$": "ABC",
           "^[A-Z0-9-]{3,12}$": "AB-12", "^#[0-9a-f]{6}$": "#00ff7f", "^[a-z]+(-[a-z]+)*$": "two-words", "foo|ba[rz]$": "a \"foo\" b",
           r"^\w+(\s\w+)*$": "two words", '^[^"\\\\]*$': "l'\u00e9t\u00e9 \u4e2d", "^(/[^/]*)*$": "/a/\n/\"", "^[a-c]{2,4}$": "abca", "^(on|off)$": "off", "^[A-Z][a-z]*$": "Abc",
           "^\\d{1,3}(,\\d{3})*$": "12,345", "x+y?": "tuxedo", "^v[0-9]+\\.[0-9]+$": "v10.2"}


def example_text(s, r):
    if "pattern" in s:
        return MATCHES[s["pattern"]]
    if "format" in s:
        return TEXTS[s["format"]]
    low = s.get("minLength", 0)
    return "".join(r.choice("ab \u00e9\u4e2d\U0001f600\"\\\n/") for _ in range(low + r.randrange(min(s.get("maxLength", low + 6) - low, 6) + 1)))


def example_number(s, r):
    step = 1 if s["type"] == "integer" else 0.25
    low = s.get("minimum", s["exclusiveMinimum"] + step / 2 if "exclusiveMinimum" in s else None)
    high = s.get("maximum", s["exclusiveMaximum"] - step / 2 if "exclusiveMaximum" in s else None)
    if low is None:
        low = -9 if high is None else high - r.randrange(1000)
    high = low + r.randrange(1, 10 ** 6) if high is None else high
    if "multipleOf" in s:
        of = fractions.Fraction(str(s["multipleOf"]))
        v = r.randint(-int(-low // of), int(high // of)) * of
        return int(v) if v.denominator == 1 else float(v)
    if step == 1:
        low, high = -int(-low // 1), int(high // 1)
        return r.choice([low, high, r.randint(low, high)])
    return r.choice([low, high, (low + high) / 2])


def example(s, r, root=None, depth=0):
    root = s if root is None else root
    if s is True or s == {}:
        return r.choice([None, 1, "x", [], {"a": [True]}])
    if "const" in s:
        return s["const"]
    if "enum" in s:
        return r.choice(s["enum"])
    if "$ref" in s and len(s) <= 2:
        return example(resolve(root, s["$ref"]), r, root, depth + 1)
    for choice in ("anyOf", "oneOf"):
        if choice in s:
            return example(s[choice][0] if depth > 8 else r.choice(s[choice]), r, root, depth + 1)
    if "allOf" in s:
        parts = [resolve(root, p["$ref"]) if "$ref" in p else p for p in s["allOf"]]
        value = {}
        for p in [p for p in parts if "properties" in p][::-1]:
            value = {**example({"type": "object", **p}, r, root, depth + 1), **value}
        order = [k for p in parts for k in p.get("properties", {})]
        if order == ["a", "a"]:                                      # the hand-written one whose bounds meet
            value = {"a": 5}
        return dict(sorted(value.items(), key=lambda kv: order.index(kv[0]) if kv[0] in order else 99))
    kind = s.get("type", "object")
    kind = r.choice(kind) if isinstance(kind, list) else kind
    if kind == "array":
        prefix = s.get("prefixItems", [])
        low = s.get("minItems", 0)
        high = len(prefix) if s.get("items", True) is False else low + 3 if depth < 6 else max(low, 1)
        n = r.randint(low, min(s.get("maxItems", high), max(high, low)))
        if s.get("uniqueItems") and n > 1:
            items = resolve(root, s["items"]["$ref"]) if "$ref" in s["items"] else s["items"]
            values = [v for i, v in enumerate(items["enum"]) if v not in items["enum"][:i] and valid(items, v)]
            return r.sample(values, min(n, len(values)))
        return [example(prefix[i] if i < len(prefix) else s.get("items", True), r, root, depth + 1) for i in range(n)]
    if kind == "object":
        value = {k: example(v, r, root, depth + 1) for k, v in s.get("properties", {}).items() if k in s.get("required", []) or (depth < 6 and r.randrange(2))}
        more = s.get("additionalProperties", "properties" not in s)
        name = "further"
        for pattern, schema in s.get("patternProperties", {}).items():
            name, more = MATCHES[pattern], schema
        if "propertyNames" in s:
            name = example({"type": "string", **s["propertyNames"]}, r, root, depth + 1)
        if more is not False and (r.randrange(2) or s.get("minProperties") and not value) and depth < 6:
            value[name] = example(more, r, root, depth + 1)
        return value
    return {"string": lambda: example_text(s, r), "null": lambda: None, "boolean": lambda: bool(r.randrange(2)),
            "integer": lambda: example_number({**s, "type": "integer"}, r), "number": lambda: example_number({**s, "type": "number"}, r)}[kind]()


# ---- what is refused, and by which word ------------------------------------------------------------

REFUSED = [
    ({"not": S}, "#/not"), ({"if": S}, "#/if"), (obj(a={"type": "array", "uniqueItems": True}), "#/properties/a/uniqueItems"),
    (obj(a=whole(multipleOf=4097)), "#/properties/a/multipleOf"), ({"multipleOf": 1e-7}, "#/multipleOf"), ({"multipleOf": 0}, "#/multipleOf"),
    ({"type": "number", "multipleOf": 4096, "maximum": 1000000000}, "#/multipleOf"), ({"type": "object", "patternProperties": {"a": S, "b": I}}, "#/patternProperties"),
    (obj(a={"type": "object", "patternProperties": {"a": S}, "required": ["b"]}), "#/properties/a/patternProperties"), ({"patternProperties": {"(?=a)": S}}, "#/patternProperties"),
    ({"properties": {"a": S}, "propertyNames": S}, "#/propertyNames"), ({"propertyNames": {"anyOf": [S]}}, "#/propertyNames"), (array(one_of(*"abcdefghi"), uniqueItems=True), "#/uniqueItems"),
    (array(one_of(1, 1.5), uniqueItems=True), "#/uniqueItems"), ({"enum": [{}], "minProperties": 1}, "#/minProperties"),
    ({"$ref": "https://example.org/s"}, "#/$ref"), ({"$ref": "#/$defs/none"}, "#/$ref"),
    ({"type": "array", "contains": S}, "#/contains"), ({"oneOf": [S, text(minLength=3)]}, "#/oneOf"), (text(pattern="(?=a)"), "#/pattern"), (text(pattern="(a)\\1"), "#/pattern"),
    (text(pattern="\\bx"), "#/pattern"), (text(pattern="a^b"), "#/pattern"), (text(format="iri"), "#/format"), (text(format="date", minLength=3), "#/minLength"),
    (text(pattern="a", maxLength=3), "#/maxLength"), ({"type": "object", "minProperties": 2}, "#/minProperties"), ({"type": "object", "maxProperties": 1}, "#/maxProperties"),
    ({"type": "number", "minimum": 1e300}, "#/minimum"), ({"dependentRequired": {}}, "#/dependentRequired"), ({"unevaluatedProperties": False}, "#/unevaluatedProperties"),
    ({"anyOf": [S, {"type": "array", "minContains": 2}]}, "#/anyOf/1/minContains"), ({"$anchor": "x"}, "#/$anchor"), ({"type": "text"}, "#/type"), ({"type": S, "x-note": 1}, "#/type"),
    ({"enum": ["a"], "minLength": 3}, "#/minLength"), ({"type": "object", "properties": []}, "#/properties"), ({"items": 3}, "#/items"), (obj(**{"a/b": {"thing": 1}}), "#/properties/a~1b/thing"),
    ({"allOf": [text(pattern="a"), text(pattern="b")]}, "#/pattern"), ({"minItems": -1}, "#/minItems"), ({"required": "a"}, "#/required"),
]
