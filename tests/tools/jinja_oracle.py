"""The reference for chat templates: Jinja2 in the environment of transformers'
apply_chat_template, and seeded conversations to render.

The environment after transformers/utils/chat_template_utils.py: immutable
sandbox, trim_blocks, lstrip_blocks, loop controls, tojson by json.dumps with
ensure_ascii=False, raise_exception, strftime_now, generation blocks.
"""
import json
import random
import time

import jinja2
import jinja2.ext
import jinja2.sandbox

NOW = 1753005296      # 2025-07-20 09:54:56 UTC


class Generation(jinja2.ext.Extension):
    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_body"), [], [], body).set_lineno(line)

    @jinja2.pass_eval_context
    def _body(self, context, caller):
        return caller()


def environment(now=NOW):
    env = jinja2.sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols])

    def refuse(message):
        raise jinja2.exceptions.TemplateError(message)

    def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = refuse
    env.globals["strftime_now"] = lambda form: time.strftime(form, time.gmtime(now))
    return env


# ---- conversations --------------------------------------------------------------

TEXTS = (
    "Hello", "", " ", "What is 2 + 2?", "Line one\nline two\n\n  indented", "  spaces around  ", "\n\nnewlines\n",
    "<think>\nLet me see.\n</think>\n\nIt is 4.", "<think>only thoughts", "no start</think>answer", "\"quotes\" & 'more' <b>",
    "Grüße, 世界! \U0001f680 naïve e\u0301", "{\"json\": [1, 2.5, null]}", "```python\nprint('x')\n```", "tab\there\\n", "İSTANBUL ΣΑΣ",
    "<|im_end|><|eot_id|>[/INST]", "{{ not a template }} {% nor this %}", "a" * 300, "0", "None", "\u00a0nbsp\u2028sep", "<tool_call>{}</tool_call>",
)
VALUES = (1, 0, -7, 2.5, 1e21, 1e-7, 0.1, True, False, None, "text", "ünï", [], [1, "two", None], {}, {"a": 1, "B": [True, {"c": "d"}]},
          123456789012, "line\nbreak", [[1], [2, [3]]], {"zeta": 1, "Alpha": "x<y>&'"})


def text(rng):
    return rng.choice(TEXTS) if rng.random() < 0.8 else " ".join(rng.choice(TEXTS) for _ in range(3))


def schema(rng, depth=0):
    kind = rng.choice(("string", "integer", "number", "boolean", "array", "object", "enum", "union", "nullable"))
    s = {"type": kind, "description": text(rng)} if rng.random() < 0.8 else {"type": kind}
    if kind == "enum":
        s = {"type": "string", "enum": ["celsius", "fahrenheit", "k\"elvin"]}
    elif kind == "union":
        s = {"type": ["string", "null"], "default": rng.choice(VALUES)} if rng.random() < 0.5 else {"anyOf": [{"type": "string"}, {"type": "null"}]}
    elif kind == "nullable":
        s = {"type": "string", "nullable": True, "format": "date", "minLength": 3}
    elif kind == "array":
        s["items"] = schema(rng, depth + 1) if depth < 2 else {"type": "string"}
        if rng.random() < 0.3:
            s["minItems"] = 1
    elif kind == "object":
        s.update(params(rng, depth + 1) if depth < 2 else {"properties": {}})
        s["type"] = "object"
        if rng.random() < 0.3:
            s["additionalProperties"] = rng.choice((True, False, {"type": "string"}))
    if rng.random() < 0.15:
        s["default"] = rng.choice(VALUES)
    return s


def params(rng, depth=0):
    names = rng.sample(["city", "unit", "count", "Query", "options", "path", "tags", "class"], rng.randrange(0, 5))
    out = {"type": "object", "properties": {n: schema(rng, depth) for n in names}}
    if rng.random() < 0.7:
        out["required"] = names[:rng.randrange(0, len(names) + 1)]
    return out


def tool(rng):
    f = {"name": rng.choice(("get_weather", "search", "run_code", "f", "browser.search", "python")), "description": text(rng), "parameters": params(rng)}
    if rng.random() < 0.1:
        f["parameters"] = {"type": "object", "properties": {}}
    if rng.random() < 0.1:
        del f["parameters"]
    if rng.random() < 0.2:
        f["return"] = {"type": "string", "description": "what it gives"}
    if rng.random() < 0.1:
        f["strict"] = True
    return {"type": "function", "function": f} if rng.random() < 0.9 else f


def call(rng, i):
    args = {n: rng.choice(VALUES) for n in rng.sample(["city", "unit", "n", "opts", "Query"], rng.randrange(0, 4))}
    f = {"name": rng.choice(("get_weather", "search", "run_code")), "arguments": args if rng.random() < 0.75 else json.dumps(args)}
    c = {"type": "function", "function": f}
    if rng.random() < 0.75:
        c["id"] = rng.choice(("call_%d", "%09d", "functions.search:%d")) % i
    return c if rng.random() < 0.92 else f


def content(rng, role):
    r = rng.random()
    if r < 0.82:
        return text(rng)
    if r < 0.92:
        parts = [{"type": "text", "text": text(rng)}]
        if role == "user" and rng.random() < 0.5:
            parts.insert(rng.randrange(2), {"type": rng.choice(("image", "image_url", "video", "audio"))})
        if rng.random() < 0.2:
            parts.append({"type": "thinking", "thinking": text(rng)})
        return parts
    return None if r < 0.97 else rng.choice(VALUES)


def message(rng, role, i):
    m = {"role": role, "content": content(rng, role)}
    if role == "assistant":
        if rng.random() < 0.3:
            m[rng.choice(("reasoning_content", "thinking", "reasoning"))] = text(rng)
        if rng.random() < 0.3:
            m["tool_calls"] = [call(rng, 10 * i + k) for k in range(rng.randrange(0, 3))]
            if rng.random() < 0.5:
                m["content"] = rng.choice(("", None))
            if rng.random() < 0.1:
                del m["content"]
    if role == "tool":
        if rng.random() < 0.8:
            m["tool_call_id"] = "call_%d" % (10 * i)
        if rng.random() < 0.6:
            m["name"] = "search"
        if rng.random() < 0.2:
            m["content"] = rng.choice((json.dumps({"temp": 21.5, "ok": True}), {"temp": 21.5}, [{"type": "text", "text": "x"}]))
    if rng.random() < 0.03:
        m["name"] = "somebody"
    if rng.random() < 0.02:
        del m[rng.choice(list(m))]
    return m


def tame(rng):
    """What a well-behaved caller sends: roles in order, contents that are text."""
    v = {"messages": [], "bos_token": "<s>", "eos_token": "</s>", "add_generation_prompt": rng.random() < 0.6}
    if rng.random() < 0.4:
        v["messages"].append({"role": "system", "content": text(rng)})
    if rng.random() < 0.4:
        tools = [tool(rng) for _ in range(rng.randrange(1, 4))]
        v["tools"] = [{"type": "function", "function": dict({"parameters": {"type": "object", "properties": {}}}, **t.get("function", t))}
                      for t in tools]
    for i in range(rng.choice((1, 2, 3, 10))):
        v["messages"].append({"role": "user", "content": text(rng)})
        answer = {"role": "assistant", "content": text(rng)}
        if rng.random() < 0.2:
            answer["reasoning_content"] = text(rng)
        if v.get("tools") and rng.random() < 0.4:
            args = {n: rng.choice(VALUES) for n in rng.sample(["city", "unit", "n"], rng.randrange(1, 3))}
            name, ident = v["tools"][0]["function"]["name"], "call%05d" % i
            v["messages"].append({"role": "assistant", "content": "", "tool_calls": [
                {"id": ident, "type": "function", "function": {"name": name, "arguments": args}}]})
            v["messages"].append({"role": "tool", "tool_call_id": ident, "name": name, "content": text(rng)})
        v["messages"].append(answer)
    if rng.random() < 0.5:
        v["messages"].pop()
        if v["messages"][-1]["role"] == "assistant":
            v["messages"].pop()
    if rng.random() < 0.3:
        v["functions"], v["datetime"] = "[]", "2025-07-20"
    for name, values in OPTIONAL:
        if rng.random() < 0.05:
            v[name] = rng.choice(values)
    return v


def conversation(seed):
    """One conversation: an object of the variables of a rendering. Every second
    one is tame; the others leave out and mix up what they can."""
    rng = random.Random(seed)
    if seed % 2:
        return tame(rng)
    out, roles = [], []
    if rng.random() < 0.5:
        roles.append("system" if rng.random() < 0.9 else "developer")
    for i in range(rng.choice((1, 1, 2, 2, 3, 5, 8))):
        roles.append("user")
        if rng.random() < 0.85:
            roles.append("assistant")
            if rng.random() < 0.3:
                roles += ["tool"] * rng.randrange(1, 3) + (["assistant"] if rng.random() < 0.8 else [])
    if rng.random() < 0.1:
        roles.append(rng.choice(("user", "assistant", "system", "tool", "observation", "unknown")))
    if rng.random() < 0.03:
        rng.shuffle(roles)
    out = [message(rng, role, i) for i, role in enumerate(roles)]
    v = {"messages": out}
    if rng.random() < 0.45:
        v["tools"] = [tool(rng) for _ in range(rng.randrange(0, 4))] if rng.random() < 0.9 else None
    if rng.random() < 0.8:
        v["add_generation_prompt"] = rng.random() < 0.6
    if rng.random() < 0.8:
        v["bos_token"], v["eos_token"] = rng.choice((("<s>", "</s>"), ("<|begin_of_text|>", "<|eot_id|>"), ("", "<|im_end|>")))
    if rng.random() < 0.2:
        v["documents"] = rng.choice((None, [{"title": "T", "text": text(rng)}, {"title": "U", "text": "x", "n": 2.0}]))
    for name, values in OPTIONAL:
        if rng.random() < 0.1:
            v[name] = rng.choice(values)
    return v


OPTIONAL = (
    ("enable_thinking", (True, False)), ("thinking", (True, False)), ("reasoning_effort", ("low", "medium", "high")),
    ("date_string", ("26 Jul 2024",)), ("builtin_tools", (["brave_search", "code_interpreter"], ["python", "browser"])),
    ("tools_in_user_message", (True, False)), ("custom_tools", (None,)), ("preserve_thinking", (True, False)),
    ("clear_thinking", (True, False)), ("model_identity", ("You are a test.",)), ("thinking_budget", (0, 512, -1)),
    ("xml_tools", (None,)), ("continue_final_message", (True, False)), ("controls", ({"length": "short"},)),
    ("safety_mode", ("STRICT", "NONE", "contextual")), ("citation_mode", ("fast", "off")), ("system_prompt", ("Sys.",)),
    ("add_vision_id", (True,)), ("keep_past_thinking", (True, False)), ("available_tools", (["x"],)), ("functions", ("f()",)),
)


def reference(template, variables):
    """The rendering, or None where Jinja2 raises (anything at all)."""
    try:
        return template.render(**variables)
    except RecursionError:
        raise
    except Exception:
        return None
