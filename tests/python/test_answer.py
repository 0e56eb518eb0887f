"""Answers taken apart: every format of tool calls, whole and byte by byte, and broken."""
import json
import os
import sys
import unittest

import decai

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
CONTEXT = decai.Context()
TEMPLATES = os.path.join(os.environ.get("DECAI_VECTORS", "../shared/vectors"), "tokenizers", "templates")
DS = "<\uff5ctool\u2581%s\uff5c>"
DSML = "\uff5cDSML\uff5c"
BEGIN, END, SEP = DS % "call\u2581begin", DS % "call\u2581end", DS % "sep"
ARGS = '{"city": "K\u00f6ln", "days": [1, 2], "note": "a \\"}\\" b"}'


def parse(form, text, flags=0):
    return json.loads(CONTEXT.answer_parse(form, text, flags))


# format, answer, content, reasoning, [(name, arguments)]
ROWS = [
    ("hermes", "Hello.", "Hello.", None, []),
    ("hermes", '<tool_call>\n{"name": "weather", "arguments": %s}\n</tool_call>' % ARGS, None, None, [("weather", ARGS)]),
    ("hermes", '<think>\nIs it?\n</think>\n\nI look. <tool_call>{"arguments": {}, "name": "a"}</tool_call>\n<tool_call>{"name":"b","arguments":"{\\"x\\":1}"}</tool_call>',
     "I look.", "Is it?", [("a", "{}"), ("b", '{"x":1}')]),
    ("hermes", '<tool_call>{"name": "a", "arguments": {}}', None, None, [("a", "{}")]),                    # cut before its end mark
    ("hermes", '<tool_call>{"name": "a", "argu', '<tool_call>{"name": "a", "argu', None, []),              # cut inside
    ("hermes", "<tool_call>none</tool_call>", "<tool_call>none</tool_call>", None, []),
    ("hermes", '<tool_call>{"name": 3}</tool_call> x', '<tool_call>{"name": 3}</tool_call> x', None, []),
    ("hermes", '<tool_call>{"name":"a","name":"b"}</tool_call>', '<tool_call>{"name":"a","name":"b"}</tool_call>', None, []),
    ("hermes", 'a < b <tool', "a < b <tool", None, []), ("none", "<think>hm</think>x", "x", "hm", []),
    ("qwen3-coder", "Now.\n<tool_call>\n<function=edit>\n<parameter=path>\na/b.c\n</parameter>\n<parameter=lines>\n[1, 2]\n</parameter>\n<parameter=text>\n  x\ny\n</parameter>\n</function>\n</tool_call>",
     "Now.", None, [("edit", '{"path":"a/b.c","lines":[1, 2],"text":"  x\\ny"}')]),
    ("qwen3-coder", "<tool_call>\n<function=now>\n</function>\n</tool_call>", None, None, [("now", "{}")]),
    ("qwen3-coder", "<tool_call><function=a><parameter=x>1</parameter><parameter=x>2</parameter></function></tool_call>",
     "<parameter=x>2</parameter></function></tool_call>", None, [("a", '{"x":1', "cut")]),
    ("hermes", '<tool_call>{"name": "a", "arguments": {"x": [1, 2', None, None, [("a", '{"x": [1, 2', "cut")]),    # cut within its arguments
    ("hermes", '<tool_call>{"name": "a", "arguments": {"x": y}}</tool_call>', 'y}}</tool_call>', None, [("a", '{"x": ', "cut")]),
    ("llama3", '{"name": "weather", "parameters": %s}' % ARGS, None, None, [("weather", ARGS)]),
    ("llama3", '<|python_tag|>{"name": "a", "parameters": {}}<|eom_id|>', None, None, [("a", "{}")]),
    ("llama3", '{"name": "a", "parameters": {}}; {"name": "b", "parameters": {"x": 1}}', None, None, [("a", "{}"), ("b", '{"x": 1}')]),
    ("llama3", '{"a": 1}', '{"a": 1}', None, []), ("llama3", "Plain {text}", "Plain {text}", None, []),
    ("gemma", '```json\n{"name": "a", "parameters": {"x": 1}}\n```', None, None, [("a", '{"x": 1}')]),
    ("mistral", '[TOOL_CALLS][{"name": "a", "arguments": {"x": 1}, "id": "abcdefghi"}, {"name": "b", "arguments": {}}]', None, None, [("a", '{"x": 1}'), ("b", "{}")]),
    ("mistral", '[TOOL_CALLS][{"name": "a"}, 3]', ", 3]", None, [("a", "{}")]), ("mistral", "[TOOL_CALLS][]", "[TOOL_CALLS][]", None, []),
    ("mistral-args", '[THINK]so[/THINK]ok[TOOL_CALLS]a[ARGS]{"x": 1}[TOOL_CALLS]b[ARGS]{}', "ok", "so", [("a", '{"x": 1}'), ("b", "{}")]),
    ("deepseek", DS % "calls\u2581begin" + BEGIN + "function" + SEP + "a\n```json\n{\"x\": 1}\n```" + END + DS % "calls\u2581end", None, None, [("a", '{"x": 1}')]),
    ("deepseek", "Yes." + BEGIN + "a" + SEP + "{}" + END + BEGIN + "b" + SEP + '{"y": 2}' + END, "Yes.", None, [("a", "{}"), ("b", '{"y": 2}')]),
    ("command-r", 'Action: ```json\n[\n {"tool_name": "a", "parameters": {"x": 1}}\n]```', None, None, [("a", '{"x": 1}')]),
    ("command-r7b", '<|START_THINKING|>hm<|END_THINKING|><|START_ACTION|>[{"tool_call_id": "0", "tool_name": "a", "parameters": {}}]<|END_ACTION|>', None, "hm", [("a", "{}")]),
    ("command-r7b", "<|START_RESPONSE|>Hi.<|END_RESPONSE|>", "Hi.", None, []),
    ("functionary", 'Ok <function=a>{"x": 1}</function><function=b>{}</function>', "Ok", None, [("a", '{"x": 1}'), ("b", "{}")]),
    ("functionary-v3.2", '>>>all\nHello\n>>>a\n{"x": 1}', "Hello", None, [("a", '{"x": 1}')]),
    ("harmony", '<|channel|>analysis<|message|>Think.<|end|><|start|>assistant<|channel|>commentary to=functions.a <|constrain|>json<|message|>{"x": 1}<|call|>', None, "Think.", [("a", '{"x": 1}')]),
    ("harmony", '<|start|>assistant to=functions.b<|channel|>commentary json<|message|>{}<|call|>', None, None, [("b", "{}")]),
    ("qwen3-coder", "<function=a>\n<parameter=x>\nhi\n</parameter>\n</function>\n</tool_call>", None, None, [("a", '{"x":"hi"}')]),
    ("harmony", "<|channel|>final<|message|>Done.<|return|>", "Done.", None, []),
    ("glm", "<think>so</think>\nOk.\n<tool_call>weather\n<arg_key>city</arg_key>\n<arg_value>K\u00f6ln \"<b>\"</arg_value>\n<arg_key>days</arg_key>\n<arg_value>[1, 2]</arg_value>\n</tool_call>",
     "Ok.", "so", [("weather", '{"city":"K\u00f6ln \\"<b>\\"","days":[1, 2]}')]),
    ("glm", "<tool_call>now</tool_call><tool_call>a<arg_key>x</arg_key><arg_value>1.5</arg_value><arg_key>y</arg_key><arg_value>1.5.2</arg_value></tool_call>", None, None,
     [("now", "{}"), ("a", '{"x":1.5,"y":"1.5.2"}')]),
    ("glm", '<tool_call>{"name": "a", "arguments": {}}</tool_call>', None, None, [("a", "{}")]),
    ("glm", "<tool_call>a b</tool_call> <tool_call>x<arg_key>k<tool_call>now\n</tool_call>", "<tool_call>a b</tool_call> <arg_key>k", None, [("x", "{", "cut"), ("now", "{}")]),
    ("seed-oss", "<seed:think>hm</seed:think><seed:tool_call>\n<function=a>\n<parameter=x>two\nlines\n</parameter>\n</function>\n</seed:tool_call>", None, "hm", [("a", '{"x":"two\\nlines\\n"}')]),
    ("minimax-m2", '<minimax:tool_call>\n<invoke name="a">\n<parameter name="x">1</parameter>\n</invoke>\n<invoke name="b">\n</invoke>\n</minimax:tool_call>', None, None, [("a", '{"x":1}'), ("b", "{}")]),
    ("deepseek-v3.2", "Yes.\n\n<%sfunction_calls>\n<%sinvoke name=\"a\">\n<%sparameter name=\"x\" string=\"true\">12</%sparameter>\n<%sparameter name=\"y\" string=\"false\">\"12\"</%sparameter>\n</%sinvoke>\n</%sfunction_calls>"
     % ((DSML,) * 8), "Yes.", None, [("a", '{"x":"12","y":"12"}')]),
    ("kimi-k2", 'Ok<|tool_calls_section_begin|><|tool_call_begin|>functions.get.it:0 <|tool_call_argument_begin|> {"x": 1}<|tool_call_end|><|tool_call_begin|>functions.b:1<|tool_call_argument_begin|>{}<|tool_call_end|><|tool_calls_section_end|>',
     "Ok", None, [("get.it", '{"x": 1}'), ("b", "{}")]),
    ("granite", '<|tool_call|>[{"name": "a", "arguments": {"x": 1}}, {"name": "b", "arguments": {}}]', None, None, [("a", '{"x": 1}'), ("b", "{}")]),
    ("granite", '<|tool_call|>[{"type": "function", "function": {"name": "a", "arguments": {"x": 1}}}]<|/tool_call|>', None, None, [("a", '{"x": 1}')]),
    ("nemotron", '<TOOLCALL>[{"name": "a", "arguments": "{\\"x\\": \\"\\\\u00e9\\"}"}]</TOOLCALL>', None, None, [("a", '{"x": "\\u00e9"}')]),
    ("tool-calls", '<tool_calls>\n{"name": "a", "arguments": {}}\n{"name": "b", "arguments": {"x": [{}]}}\n</tool_calls>', None, None, [("a", "{}"), ("b", '{"x": [{}]}')]),
    ("tool-calls", '<tool_calls>[{"name": "a", "arguments": {}, "id": "7"}]</tool_calls> x', " x", None, [("a", "{}")]),
    ("apertus", '<|tools_prefix|>[{"a": {"x": 1}}, {"b": {}}]<|tools_suffix|>', None, None, [("a", '{"x": 1}'), ("b", "{}")]),
    ("lfm2", "Ok <|tool_call_start|>[weather(city='K\u00f6ln', days=[1, 2.5,], ok=True, no=None, o={'a': {\"b\": 'c'}, 'd': []}), now()]<|tool_call_end|> x", "Ok  x", None,
     [("weather", '{"city":"K\u00f6ln","days":[1,2.5],"ok":true,"no":null,"o":{"a":{"b":"c"},"d":[]}}'), ("now", "{}")]),
    ("lfm2", r"""<|tool_call_start|>[f(a='it''s "so", isn't it', b="x\n\"\x41\u00e9\ud83d\ude00\q\ud83d", c = -1 )]<|tool_call_end|>""", None, None,
     [("f", '{"a":"it\'\'s \\"so\\", isn\'t it","b":"x\\n\\"A\u00e9\U0001f600\\\\q\ufffd","c":-1}')]),
    ("lfm2", '<|tool_call_start|>[{"name": "f", "arguments": {"a": 1}}]<|tool_call_end|>', None, None, [("f", '{"a": 1}')]),
    ("lfm2", "<|tool_call_start|>[f(a=b)]<|tool_call_end|>", ")]<|tool_call_end|>", None, [("f", '{"a":', "cut")]),
    ("lfm2", "<|tool_call_start|>[f(1)]<|tool_call_end|>", "<|tool_call_start|>[f(1)]<|tool_call_end|>", None, []),
    ("llama4", "[f(a=1), g(b='x')]<|eot|>", None, None, [("f", '{"a":1}'), ("g", '{"b":"x"}')]),
    ("llama4", '<|python_start|>Let me see.<|python_end|>{"name": "f", "parameters": {"a": 1}}<|eom|>', "Let me see.", None, [("f", '{"a": 1}')]),
    ("llama4", '<|python_start|>[f(a=1)]<|python_end|>', None, None, [("f", '{"a":1}')]), ("llama4", "[see (1)] and", "[see (1)] and", None, []),
    ("gemma4", '<|channel>thought\nhm\n<channel|>Ok.<|tool_call>call:weather{city:<|"|>K\u00f6ln "x" <|<|"|>,days:[1,2],o:{a:<|"|>b<|"|>,c:{}},ok:true}<tool_call|><|tool_call>call:now{}<tool_call|>', "Ok.", "hm",
     [("weather", '{"city":"K\u00f6ln \\"x\\" <|","days":[1,2],"o":{"a":"b","c":{}},"ok":true}'), ("now", "{}")]),
    ("gemma4", '<|tool_call>call:f{<|"|>a<|"|>:1}<tool_call|>', '<|tool_call>call:f{<|"|>a<|"|>:1}<tool_call|>', None, []),
    ("gemma4", '<|tool_call>call:f{a:{<|"|>b c<|"|>:two words}}<tool_call|>', None, None, [("f", '{"a":{"b c":"two words"}}')]),
    ("function-gemma", "<start_function_call>call:f{a:<escape>x<escape>,n:3}<end_function_call>", None, None, [("f", '{"a":"x","n":3}')]),
    ("mistral-args", '[TOOL_CALLS]a[CALL_ID]abcdefghi[ARGS]{"x": 1}', None, None, [("a", '{"x": 1}')]),
]


def told(answer):
    """The events of an answer that wait, those that go on joined."""
    events = []
    while True:
        out, kind, call = answer.next()
        if kind == decai.ANSWER_NONE:
            return events
        events.append((kind, call, out))


def joined(events):
    """As answer_parse has it."""
    got = {decai.ANSWER_CONTENT: b"", decai.ANSWER_REASONING: b""}
    calls = []
    for kind, call, out in events:
        if kind in got:
            got[kind] += out
        elif kind == decai.ANSWER_CALL:
            calls.append([out, b"", None, None])
        elif kind == decai.ANSWER_ARGUMENTS:
            calls[call][1] += out
        else:
            calls[call][2:] = [out or None, kind]
        assert kind in got or call == len(calls) - 1, events
    made = [dict({"id": i.decode()} if i else {}, type="function", function={"name": n.decode(), "arguments": a.decode()},
                 **({"complete": False} if end == decai.ANSWER_CALL_CUT else {})) for n, a, i, end in calls]
    return got[decai.ANSWER_CONTENT].decode() or None, got[decai.ANSWER_REASONING].decode() or None, made


def in_pieces(form, pieces, tools=None):
    answer, events = decai.Answer(CONTEXT, form, tools, 0), []
    for piece in pieces:
        answer.add(piece, 0)
        events += told(answer)
    answer.add(b"", decai.ANSWER_LAST)
    return joined(events + told(answer))


WEATHER = {"city": "Paris", "days": 3, "ok": True}
WEATHER_TOOLS = [{"type": "function", "function": {"name": "weather", "strict": True, "description": "d", "parameters": {
    "type": "object", "required": ["city", "days", "ok"], "additionalProperties": False, "properties": {
        "city": {"type": "string", "description": "c"}, "days": {"type": "integer", "description": "n"}, "ok": {"type": "boolean", "description": "b"}}}}}]


def rendered(given):
    """(name, format, where an answer may begin, text) for every published template: a call of weather, in the past."""
    for name in sorted(n for n in os.listdir(TEMPLATES) if n.endswith(".jinja")):
        with open(os.path.join(TEMPLATES, name), encoding="utf-8") as f:
            template = decai.Template(CONTEXT, None, f.read())
        try:
            form = template.calls_get().decode()
        except decai.NotFoundError:
            continue
        for arguments in (given, json.dumps(given, ensure_ascii=False)):
            call = {"id": "abcdefgh1", "type": "function", "function": {"name": "weather", "arguments": arguments}}
            asked = [{"role": "user", "content": "hi"}]
            texts = []
            for messages, more in ((asked, True), (asked + [{"role": "assistant", "content": "", "tool_calls": [call]}], False)):
                try:
                    texts.append(template.format(json.dumps({"messages": messages, "tools": WEATHER_TOOLS, "documents": None, "add_generation_prompt": more,
                                                             "bos_token": "<bos>", "eos_token": "<eos>"})).decode())
                except (decai.TemplateError, decai.UnsupportedError):
                    break                                             # it wants the arguments in the other form, or more messages
            else:
                same = len(os.path.commonprefix(texts))
                for start in (same, max(0, same - 12), max(0, same - 40)):       # what a prompt ends with may begin the mark
                    yield name[:-6], form, start, texts[1]


class Answers(unittest.TestCase):
    def test_pieces(self):
        """Every way to cut a text in two, and byte by byte: the same as the whole."""
        for form, text, *_ in ROWS:
            whole, raw = parse(form, text), text.encode()
            whole = whole["content"], whole.get("reasoning"), whole["tool_calls"]
            self.assertEqual(in_pieces(form, [raw[i:i + 1] for i in range(len(raw))]), whole, (form, text))
            for cut in range(len(raw) + 1):
                self.assertEqual(in_pieces(form, [raw[:cut], raw[cut:]]), whole, (form, text, cut))

    def test_arguments_come_while_they_are_written(self):
        for form, before, behind in (("hermes", '<tool_call>{"name": "f", "arguments": {"x": "', '"}}</tool_call>'),
                                     ("glm", "<tool_call>f\n<arg_key>x</arg_key><arg_value>", "</arg_value></tool_call>"),
                                     ("mistral-args", '[TOOL_CALLS]f[ARGS]{"x": "', '"}'), ("apertus", '<|tools_prefix|>[{"f": {"x": "', '"}}]<|tools_suffix|>')):
            answer = decai.Answer(CONTEXT, form, None, 0)
            answer.add(before + "w", 0)
            self.assertEqual([e[:2] for e in told(answer)], [(decai.ANSWER_CALL, 0), (decai.ANSWER_ARGUMENTS, 0)], form)
            for i in range(50):
                answer.add("word%d " % i, 0)
                self.assertEqual(told(answer), [(decai.ANSWER_ARGUMENTS, 0, b"word%d " % i)], form)
            answer.add(behind, decai.ANSWER_LAST)
            self.assertEqual([e[0] for e in told(answer)], [decai.ANSWER_ARGUMENTS, decai.ANSWER_CALL_END], form)

    def test_types_of_parameters(self):
        tools = json.dumps([{"type": "function", "function": {"name": "f", "parameters": {"properties": {
            "s": {"type": "string"}, "n": {"type": ["integer", "null"]}, "e": {"enum": ["1", "2"]}, "u": {"anyOf": [{"type": "string"}, {"type": "null"}]}, "a": {"$ref": "#/x"}, "b": {"type": "boolean"}, "z": {"type": ["integer", "null"]}}}}}])
        for key, value, want in (("s", "12", "12"), ("s", "null", "null"), ("s", "", ""), ("n", "12", 12), ("n", "null", None), ("n", "[1]", "[1]"), ("n", "x", "x"), ("e", "1", "1"),
                                 ("u", "12", "12"), ("u", "null", None), ("u", '"q"', "q"), ("u", "nul", "nul"), ("a", '{"x": [1]}', {"x": [1]}), ("a", '"12"', "12"), ("b", "True", True), ("b", "False", False), ("b", "true", True), ("b", "Tru", "Tru"), ("b", "Trues", "Trues"), ("b", "None", "None"), ("z", "None", None), ("s", "True", "True"), ("other", "True", "True"),
                                 ("other", "12", 12), ("other", '"12"', '"12"')):
            for form, text in (("glm", "<tool_call>f<arg_key>%s</arg_key><arg_value>%s</arg_value></tool_call>"), ("minimax-m2", '<invoke name="f"><parameter name="%s">%s</parameter></invoke>'),
                               ("qwen3-coder", "<tool_call><function=f><parameter=%s>\n%s\n</parameter></function></tool_call>")):
                _, _, calls = in_pieces(form, [text % (key, value)], tools)
                self.assertEqual(json.loads(calls[0]["function"]["arguments"]), {key: want}, (form, key, value))

    def test_the_handle(self):
        for form, tools, flags, error in (("other", None, 0, decai.InvalidError), ("hermes", None, decai.ANSWER_PARTIAL, decai.InvalidError), ("hermes", "{}", 0, decai.CorruptError), ("hermes", "[", 0, decai.CorruptError)):
            with self.assertRaises(error):
                decai.Answer(CONTEXT, form, tools, flags)
        answer = decai.Answer(CONTEXT, "hermes", None, decai.ANSWER_THINKING)
        answer.add("so</think>\u00e9".encode()[:-1], 0)
        self.assertEqual(told(answer), [(decai.ANSWER_REASONING, 0, b"so")])
        with self.assertRaises(decai.InvalidError):
            answer.add("x", 0)                                        # no end of that character
        with self.assertRaises(decai.InvalidError):
            answer.add("x", 0)
        answer = decai.Answer(CONTEXT, "none", None, 0)
        answer.add("x", decai.ANSWER_LAST)
        with self.assertRaises(decai.StateError):
            answer.add("y", 0)
        for size, error in ((decai.ANSWER_TEXT_MAX - 1, None), (decai.ANSWER_TEXT_MAX, None), (decai.ANSWER_TEXT_MAX + 1, decai.LimitError)):
            answer = decai.Answer(CONTEXT, "hermes", None, 0)
            answer.add("a" * (size // 2), 0)
            if error:
                with self.assertRaises(error):
                    answer.add("a" * (size - size // 2), 0)
            else:
                answer.add("a" * (size - size // 2), 0)
                self.assertEqual(sum(len(e[2]) for e in told(answer)), size)

    def test_rows(self):
        for form, text, content, reasoning, calls in ROWS:
            got = parse(form, text)
            found = [(c["function"]["name"], c["function"]["arguments"]) + ((), ("cut",))["complete" in c] for c in got["tool_calls"]]
            cut = any(len(c) == 3 for c in calls)
            self.assertEqual((got["content"], got.get("reasoning"), found, got["complete"]), (content, reasoning, calls, not cut), (form, text))
            for c in got["tool_calls"]:
                self.assertEqual(c["type"], "function")
        self.assertEqual(parse("mistral", next(r[1] for r in ROWS if r[0] == "mistral"))["tool_calls"][0]["id"], "abcdefghi")

    def test_beginnings_only_grow(self):
        """Cut anywhere, nothing that was shown is taken back, and the whole is what the whole gives."""
        for form, text, content, reasoning, calls in ROWS:
            before = {"content": "", "reasoning": "", "tool_calls": []}
            for end in range(len(text) + 1):
                got = parse(form, text[:end], decai.ANSWER_PARTIAL)
                for key in ("content", "reasoning"):
                    got[key] = got.get(key) or ""
                    self.assertTrue(got[key].startswith(before[key]), (form, text[:end], key, before[key], got[key]))
                self.assertEqual(got["tool_calls"][:len(before["tool_calls"])], before["tool_calls"], (form, text[:end]))
                before = got
            last = parse(form, text)
            self.assertTrue((last["content"] or "").startswith(before["content"]), (form, text))
            self.assertEqual(last["tool_calls"][:len(before["tool_calls"])], before["tool_calls"])

    def test_reasoning_that_the_template_began(self):
        got = parse("hermes", "Hm, so.\n</think>\n\nYes.", decai.ANSWER_THINKING)
        self.assertEqual((got["reasoning"], got["content"]), ("Hm, so.", "Yes."))
        got = parse("hermes", "Hm, so.\n</thi", decai.ANSWER_THINKING | decai.ANSWER_PARTIAL)
        self.assertEqual((got["reasoning"], got["content"]), ("Hm, so.", None))

    def test_refused_and_hostile(self):
        for form, text, flags in (("other", "", 0), ("hermes", b"\xff", 0), ("hermes", "", 8)):
            with self.assertRaises(decai.InvalidError):
                CONTEXT.answer_parse(form, text, flags)
        for size, error in ((decai.ANSWER_TEXT_MAX - 1, None), (decai.ANSWER_TEXT_MAX, None), (decai.ANSWER_TEXT_MAX + 1, decai.LimitError)):
            if error:
                with self.assertRaises(error):
                    CONTEXT.answer_parse("hermes", "a" * size, 0)
            else:
                self.assertEqual(len(parse("hermes", "a" * size)["content"]), size)
        for form, mark in (("hermes", "<tool_call>{"), ("harmony", "<|channel|>"), ("qwen3-coder", "<tool_call><function=a>"), ("functionary", "<function="), ("llama3", '{"a":')):
            text = mark * 20000                                       # each mark may look to the end: not all do
            self.assertEqual(parse(form, text)["content"], text)

    def test_templates_name_their_format(self):
        if not os.path.isdir(TEMPLATES):
            self.skipTest("no published vectors")
        want = {"Qwen-Qwen2.5-7B-Instruct": "hermes", "Qwen3-Coder": "qwen3-coder", "meta-llama-Llama-3.1-8B-Instruct": "llama3",
                "NousResearch-Hermes-3-Llama-3.1-8B-tool_use": "hermes", "mistralai-Mistral-Nemo-Instruct-2407": "mistral",
                "unsloth-mistral-Devstral-Small-2507": "mistral-args", "deepseek-ai-DeepSeek-V3.1": "deepseek", "openai-gpt-oss-120b": "harmony",
                "CohereForAI-c4ai-command-r-plus-tool_use": "command-r", "CohereForAI-c4ai-command-r7b-12-2024-tool_use": "command-r7b",
                "meetkai-functionary-medium-v3.1": "functionary", "meetkai-functionary-medium-v3.2": "functionary-v3.2", "google-gemma-2-2b-it": "gemma",
                "GLM-4.6": "glm", "GLM-4.7-Flash": "glm", "inclusionai-ling-3.0-flash": "glm", "Kimi-K2-Instruct": "kimi-k2", "MiniMax-M2": "minimax-m2",
                "ByteDance-Seed-OSS": "seed-oss", "deepseek-ai-DeepSeek-V3.2": "deepseek-v3.2", "deepseek-ai-DeepSeek-V4": "deepseek-v4", "ibm-granite-granite-3.3-2B-Instruct": "granite",
                "ibm-granite-granite-4.0": "hermes", "NVIDIA-Nemotron-Nano-v2": "nemotron", "MiniMax-M1": "tool-calls", "Apertus-8B-Instruct": "apertus",
                "LFM2-8B-A1B": "lfm2", "LFM2.5-8B-A1B": "lfm2", "LFM2.5-Instruct": "lfm2", "google-gemma-4-31B-it": "gemma4",
                "Mistral-Small-3.2-24B-Instruct-2506": "mistral-args"}
        for name, form in want.items():
            with open(os.path.join(TEMPLATES, name + ".jinja"), encoding="utf-8") as f:
                self.assertEqual(decai.Template(CONTEXT, None, f.read()).calls_get().decode(), form, name)
        for text in ("{{ messages }}", "<tool_call> <invoke name="):
            with self.assertRaises(decai.NotFoundError):
                decai.Template(CONTEXT, None, text).calls_get()

    def test_published_templates_write_what_is_read(self):
        """A call that a template renders for the conversation's past is read back as it was."""
        if not os.path.isdir(TEMPLATES):
            self.skipTest("no published vectors")
        silent = ("LFM2-8B-A1B", "LFM2.5-Instruct", "deepseek-ai-DeepSeek-R1-Distill-Llama-8B", "google-gemma-2-2b-it", "ibm-granite-granite-3.3-2B-Instruct")   # render no calls
        given, read = dict(WEATHER, city="K\u00f6ln \"7\" <b>"), {}
        for name, form, start, whole in rendered(given):
            _, _, calls = in_pieces(form, [whole[start:]], json.dumps(WEATHER_TOOLS))
            if len(calls) == 1 and "complete" not in calls[0] and calls[0]["function"]["name"] == "weather":
                read[name] = json.loads(calls[0]["function"]["arguments"])
            read.setdefault(name, None)
        self.assertGreater(len(read), 45)
        self.assertEqual({name: got for name, got in read.items() if got != given and not (name in silent and got is None)}, {})

    def test_small_templates(self):
        for text, form in (("<tool_call>", "hermes"), ("<|header_start|> parameters", "llama4"), ("<start_function_call> <start_of_turn>", "function-gemma"), ("[TOOL_CALLS]", "mistral"), ("<|python_tag|>", "llama3"), ("<start_of_turn>", "gemma")):
            self.assertEqual(decai.Template(CONTEXT, None, text).calls_get(), form.encode())


TOOLS = [{"type": "function", "function": {"name": "weather", "description": "Weather of a city", "parameters": {
            "type": "object", "properties": {"city": {"type": "string", "maxLength": 12}, "unit": {"type": "string", "enum": ["c", "f"]}, "days": {"type": "integer", "minimum": 1, "maximum": 14}},
            "required": ["city"]}}},
         {"type": "function", "function": {"name": "now"}},
         {"type": "function", "function": {"name": "tree", "parameters": {"type": "object", "properties": {"n": {"$ref": "#/$defs/n"}}, "required": ["n"], "$defs": {
             "n": {"type": "object", "properties": {"v": {"type": "integer"}, "l": {"$ref": "#/$defs/n"}}, "required": ["v"]}}}}}]
# What stands before the grammar's text in an answer, and behind it.
AROUND = {"hermes": ("<tool_call>", ""), "llama3": ("", ""), "gemma": ("", ""), "mistral": ("[TOOL_CALLS]", ""), "command-r": ("Action:", ""),
          "command-r7b": ("<|START_ACTION|>", "<|END_ACTION|>"), "functionary": ("<function=", ""), "functionary-v3.2": (">>>", ""), "qwen3-coder": ("<tool_call>", ""),
          "harmony": ("<|channel|>commentary to=functions.weather <|message|>", "<|call|>"), "mistral-args": ("[TOOL_CALLS]weather[ARGS]", ""),
          "deepseek": (BEGIN + "weather" + SEP, END), "kimi-k2": ("<|tool_call_begin|>functions.weather:0<|tool_call_argument_begin|>", "<|tool_call_end|>"),
          "granite": ("<|tool_call|>", ""), "nemotron": ("<TOOLCALL>", ""), "tool-calls": ("<tool_calls>", ""), "apertus": ("<|tools_prefix|>", "<|tools_suffix|>"),
          "seed-oss": ("<seed:tool_call>", ""), "glm": ("<tool_call>", ""), "minimax-m2": ("<minimax:tool_call>", ""), "deepseek-v3.2": ("<%sfunction_calls>" % DSML, "")}
AROUND.update({"lfm2": ("<|tool_call_start|>", "<|tool_call_end|>"), "llama4": ("", ""), "gemma4": ("<|tool_call>call:", ""), "function-gemma": ("<start_function_call>call:", "")})
AROUND["deepseek-v4"] = ("<%stool_calls>" % DSML, "")
MARKED = ("deepseek-v4", "gemma4", "function-gemma", "qwen3-coder", "seed-oss", "glm", "minimax-m2", "deepseek-v3.2")     # parameters between marks
ALONE = ("harmony", "mistral-args", "deepseek", "kimi-k2")                     # arguments alone


class Grammars(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        import test_schema
        with open("examples/model/decai-actions.q8_0.gguf", "rb") as f:
            cls.tokenizer = decai.Tokenizer(decai.Model.open(CONTEXT, f.read()))
        cls.walker = test_schema.Walker(cls.tokenizer)

    def grammar(self, **more):
        return decai.Grammar(self.tokenizer, "tools", json.dumps({"tools": TOOLS, **more}), None)

    def test_what_comes_is_calls(self):
        """Walks over the masks, read back: calls of these tools with valid arguments."""
        import random
        import test_schema
        schemas = {t["function"]["name"]: t["function"].get("parameters", {}) for t in TOOLS}
        for form, (before, behind) in AROUND.items():
            if form in MARKED:
                continue                                              # chance does not find the end of their texts
            alone = form in ALONE
            g = self.grammar(format=form, **({"tool_choice": {"type": "function", "function": {"name": "weather"}}} if alone else {"tool_choice": "auto"}))
            seen = set()
            for seed in range(25):
                text = self.walker.walk(g, random.Random(seed), wild=(0, 20, 60)[seed % 3]).decode()
                got = parse(form, before + text + behind)
                self.assertTrue(got["tool_calls"], (form, text))
                self.assertIsNone(got["content"], (form, text))
                for c in got["tool_calls"]:
                    name, value = c["function"]["name"], json.loads(c["function"]["arguments"])
                    seen.add(name)
                    self.assertTrue(test_schema.schemas.valid(schemas[name], value), (form, name, value))
            self.assertEqual(seen, {"weather"} if alone else set(schemas), form)

    def test_choices(self):
        taken = lambda text, **more: (lambda m, ids: m.add(ids) == len(ids) and m.forced_get().complete == 1)(
            decai.Matcher(self.grammar(format="hermes", **more)), self.tokenizer.encode(text, 0))
        one, two = '{"name": "now", "arguments": {}}</tool_call>', '{"name": "weather", "arguments": {"city": "Bonn", "days": 2}}\n</tool_call>'
        self.assertTrue(taken(one) and taken("\n" + two) and taken(one + "\n<tool_call>\n" + two))
        self.assertFalse(taken(one + "\n<tool_call>\n" + two, parallel_tool_calls=False))
        self.assertFalse(taken(one, tool_choice={"type": "function", "function": {"name": "weather"}}))
        self.assertTrue(taken(two, tool_choice={"name": "weather"}) and taken(two, tool_choice="required"))
        self.assertFalse(taken(two.replace("days", "day")) or taken(one.replace("now", "later")))

    def test_qwen3_coder(self):
        g = self.grammar(format="qwen3-coder")
        call = "<function=weather>\n<parameter=city>\n%s\n</parameter>\n%s</function>"
        for text, yes in ((call % ("Bonn\n<b>\n</param\n\n", ""), 1), (call % ("K\u00f6ln", "<parameter=days>\n3\n</parameter>\n"), 1), (call % ("x", "<parameter=days>\n30\n</parameter>\n"), 0),
                          (call % ("x", "<parameter=unit>\nc\n</parameter>\n"), 1), (call % ("x", "<parameter=unit>\nk\n</parameter>\n"), 0), ("<function=now>\n</function>", 1),
                          ("<function=weather>\n</function>", 0), ('<function=tree>\n<parameter=n>\n{"v": 1, "l": {"v": 2}}\n</parameter>\n</function>', 1)):
            text += "\n</tool_call>"
            m, ids = decai.Matcher(g), self.tokenizer.encode(text, 0)
            self.assertEqual(m.add(ids) == len(ids) and m.forced_get().complete, yes, text)
            if yes:
                self.assertEqual(len(parse("qwen3-coder", "<tool_call>" + text)["tool_calls"]), 1, text)

    def test_marked(self):
        """Calls as the templates write them are taken, others are not."""
        key = {"seed-oss": "<parameter=%s>%s</parameter>\n", "glm": "<arg_key>%s</arg_key>\n<arg_value>%s</arg_value>\n", "minimax-m2": '<parameter name="%s">%s</parameter>\n',
               "deepseek-v3.2": "<" + DSML + 'parameter name="%s" string="@">%s</' + DSML + "parameter>\n"}
        call = {"seed-oss": ("\n<function=%s>\n%s</function>\n</seed:tool_call>", "\n<seed:tool_call>"), "glm": ("%s\n%s</tool_call>", "\n<tool_call>"),
                "minimax-m2": ('\n<invoke name="%s">\n%s</invoke>', ""), "deepseek-v3.2": ("\n<" + DSML + 'invoke name="%s">\n%s</' + DSML + "invoke>", "")}
        ends = {"minimax-m2": "\n</minimax:tool_call>", "deepseek-v3.2": "\n</%sfunction_calls>" % DSML}
        for form in key:
            g = self.grammar(format=form)
            put = lambda name, pairs: call[form][0] % (name, "".join(key[form].replace("@", ("false", "true")[isinstance(v, str)]) % (k, v) for k, v in pairs))
            city = ("city", "K\u00f6ln </arg \uff5c <\uff5c </ </parameter </\uff5cDSML")
            for calls, yes in ((((("weather", [city]),)), 1), ((("weather", [city, ("unit", "c"), ("days", 3)]),), 1), ((("weather", [city, ("days", 30)]),), 0), ((("weather", []),), 0),
                               ((("weather", [city, ("unit", "k")]),), 0), ((("now", []), ("weather", [city])), 1), ((("later", []),), 0), ((("tree", [("n", {"v": 1})]),), 1)):
                text = call[form][1].join(put(n, [(k, json.dumps(v) if isinstance(v, dict) else v) for k, v in pairs]) if n != "tree" or form != "deepseek-v3.2" else
                                          put(n, pairs).replace("true", "false").replace("'", '"') for n, pairs in calls) + ends.get(form, "")
                m, ids = decai.Matcher(g), self.tokenizer.encode(text, 0)
                self.assertEqual(m.add(ids) == len(ids) and m.forced_get().complete, yes, (form, text))
                if yes:
                    got = parse(form, AROUND[form][0] + text)
                    self.assertIsNone(got["content"], (form, text))
                    self.assertEqual([(c["function"]["name"], json.loads(c["function"]["arguments"])) for c in got["tool_calls"]], [(n, dict(p)) for n, p in calls], (form, text))

    # Of whole answers: the mark, a call of now, one of weather with an argument; %s is its value.
    WHOLE = {"hermes": ("<tool_call>", '\n{"name": "now", "arguments": {}}\n</tool_call>', '{"name": "weather", "arguments": {"city": "Bonn", "days": %s}}</tool_call>'),
             "qwen3-coder": ("<tool_call>", "\n<function=now>\n</function>\n</tool_call>", "\n<function=weather>\n<parameter=city>\nBonn\n</parameter>\n<parameter=days>\n%s\n</parameter>\n</function>\n</tool_call>"),
             "seed-oss": ("<seed:tool_call>", "\n<function=now>\n</function>\n</seed:tool_call>", "\n<function=weather>\n<parameter=city>Bonn</parameter>\n<parameter=days>%s</parameter>\n</function>\n</seed:tool_call>"),
             "glm": ("<tool_call>", "now\n</tool_call>", "weather\n<arg_key>city</arg_key>\n<arg_value>Bonn</arg_value>\n<arg_key>days</arg_key>\n<arg_value>%s</arg_value>\n</tool_call>"),
             "minimax-m2": ("<minimax:tool_call>", '\n<invoke name="now">\n</invoke>\n</minimax:tool_call>',
                            '\n<invoke name="weather">\n<parameter name="city">Bonn</parameter>\n<parameter name="days">%s</parameter>\n</invoke>\n</minimax:tool_call>'),
             "nemotron": ("<TOOLCALL>", '[{"name": "now", "arguments": {}}]</TOOLCALL>', '[{"name": "weather", "arguments": {"city": "Bonn", "days": %s}}]</TOOLCALL>'),
             "tool-calls": ("<tool_calls>", '[{"name": "now", "arguments": {}}]</tool_calls>', '[{"name": "weather", "arguments": {"city": "Bonn", "days": %s}}]</tool_calls>'),
             "functionary": ("<function=", "now>{}</function>", 'weather>{"city": "Bonn", "days": %s}</function>'),
             "apertus": ("<|tools_prefix|>", '[{"now": {}}]', '[{"weather": {"city": "Bonn", "days": %s}}]'),
             "lfm2": ("<|tool_call_start|>", "[now()]", '[weather(city="Bonn", days=%s)]'),
             "gemma4": ("<|tool_call>call:", "now{}<tool_call|>", 'weather{city:<|"|>Bonn<|"|>,days:%s}<tool_call|>'),
             "function-gemma": ("<start_function_call>call:", "now{}<end_function_call>", "weather{city:<escape>Bonn<escape>,days:%s}<end_function_call>")}
    LIMITED = [{"type": "function", "function": dict(t["function"], strict=True)} for t in TOOLS]
    STRICT = json.loads(json.dumps(LIMITED).replace('"maxLength": 12', '"title": "City"'))     # texts without quotes have no limits

    def taken(self, grammar, text):
        m, ids = decai.Matcher(grammar), self.tokenizer.encode(text, 0)
        return bool(m.add(ids) == len(ids) and m.forced_get().complete)

    def test_whole_answers(self):
        for form, (mark, now, weather) in self.WHOLE.items():
            tools = self.STRICT[:2] if "gemma" in form else self.STRICT           # no recursion in that notation
            strict, free = self.grammar(format=form, whole=True, tools=tools), None if "gemma" in form else self.grammar(format=form, whole=True)
            think = '<|channel>thought\na%s<channel|>' if form == "gemma4" else "<seed:think>a%s</seed:think>" if form == "seed-oss" else "<|inner_prefix|>a%s<|inner_suffix|>" if form == "apertus" else "<think>a%s</think>"
            for text, yes in (("", 1), ("Hello \u20ac <b> {\"a\": 1}", 1), (mark[:-1], 1), (mark[:-1] + " " + mark[:3], 1), (mark, 0), (mark + "x", 0), ("so" + mark + " y", 0), (mark + now, 1),
                              ("So: " + mark + now, 1), ("\n" + mark + weather % 3, 1), (mark + weather % 3 + "\n and " + mark + now + " end", 1), (mark + now + mark[:4] + mark + now, 1),
                              (mark + weather % 30, 0), (mark + weather % '"3"', 0), (mark + now.replace("now", "later"), 0), (mark + now + mark, 0), (think % (mark + "x") + "so", 1),
                              (think % (mark + "x") + mark + "x", 0), ((mark[:2] + mark)[:-1] + "!", 1), (mark[:2] + mark, 0)):
                self.assertEqual(self.taken(strict, text), bool(yes), (form, text))
                if yes:
                    got = parse(form, text)
                    self.assertTrue(all(c["function"]["name"] in ("now", "weather") for c in got["tool_calls"]), (form, text))
                    self.assertEqual(len(got["tool_calls"]), text.replace(think % (mark + "x"), "").count(mark), (form, text))
            for text, yes in ((mark + weather % 30, 1), (mark + weather.replace("days", "day") % 30, 1), (mark + now.replace("now", "later"), 0)) if free else ():
                self.assertEqual(self.taken(free, text), bool(yes), (form, text))
            thinks, end = self.grammar(format=form, whole=True, thinking=True, tools=tools), (think % "").split("a", 1)[1] if form != "gemma4" else "<channel|>"
            self.assertEqual([self.taken(thinks, t) for t in ("", "x" + mark + "x", "x" + end, "x" + mark + end + mark + now, "x" + end + mark + "x")], [False, False, True, True, False], form)
            one, must = self.grammar(format=form, whole=True, tools=tools, parallel_tool_calls=False), self.grammar(format=form, whole=True, tools=tools, tool_choice="required")
            self.assertEqual([self.taken(one, t) for t in (mark + now + " x", mark + now + "\n" + mark + now)], [True, False], form)
            self.assertEqual([self.taken(must, t) for t in ("", "so", "so " + mark + now, mark + now + " so")], [False, False, True, True], form)
        for form in ("llama3", "llama4"):
            self.bare(self.grammar(format=form, whole=True, tools=self.STRICT), "<|python_tag|>" if form == "llama3" else "<|python_start|>")
        for form in ("qwen3-coder", "glm", "gemma4"):                       # texts without quotes
            for keyword in ({"pattern": "a"}, {"maxLength": 3}, {"minLength": 3}, {"format": "date"}):
                with self.assertRaisesRegex(decai.Error, "city: %s" % list(keyword)[0]):
                    self.grammar(format=form, whole=True, tools=[{"name": "f", "strict": True, "parameters": {
                        "type": "object", "properties": {"city": {"type": "string", **keyword}}}}])
        noted = lambda schema: self.grammar(format="gemma4", whole=True, tools=[{"name": "f", "strict": True, "parameters": {"type": "object", "properties": {"a": schema}}}])  # noqa: E731
        g = noted({"type": "object", "properties": {"l": {"type": "array", "items": {"enum": ["x", "y"]}}, "n": {"type": "number"}}, "required": ["n"]})
        for value, yes in (("{n:1}", 1), ('{l:[<|"|>x<|"|>,<|"|>y<|"|>],n:-2.5}', 1), ("{l:[],n:0}", 1), ("{l:[]}", 0), ('{l:[<|"|>z<|"|>],n:0}', 0)):
            text = "<|tool_call>call:f{a:%s}<tool_call|>" % value
            self.assertEqual(self.taken(g, text), bool(yes), text)
            self.assertEqual(parse("gemma4", text)["tool_calls"][0]["function"]["name"], "f")
        for schema in ({"anyOf": []}, {"type": "array"}, {"type": "array", "items": {"type": "null"}, "minItems": 1}, {"enum": [1]}, {"type": "object", "properties": {"a b": {"type": "null"}}}):
            with self.assertRaises(decai.UnsupportedError):
                noted(schema)

    def bare(self, g, mark):
        call = '{"name": "weather", "parameters": {"city": "Bonn", "days": %s}}'
        for text, yes in (("", 1), ("Hello {", 1), ("  Hello [", 1), (" " + call % 3, 1), (call % 30, 0), ('{"a": 1}', 0), (" [", 0), ("<think>{</think>\n" + call % 3, 1), ("<think>{</think>x{", 1), ("<think>{</think>{}", 0),
                          (call % 3 + " x", 0), (mark + "x", 0)):
            self.assertEqual(self.taken(g, text), bool(yes), text)

    def test_marks_that_are_control_tokens(self):
        """They come where the format has them, and nowhere else; spelled, they are the same marks."""
        import random
        marks = {"mistral-args": ("[TOOL_CALLS]", "[ARGS]", "[THINK]", "[/THINK]"), "mistral": ("[TOOL_CALLS]",), "granite": ("<|tool_call|>",), "hermes": ("<tool_call>", "</tool_call>", "<think>", "</think>"),
                 "kimi-k2": ("<|tool_calls_section_begin|>", "<|tool_call_begin|>", "<|tool_call_argument_begin|>", "<|tool_call_end|>", "<|tool_calls_section_end|>"),
                 "deepseek": (DS % "calls\u2581begin", BEGIN, SEP, END, DS % "calls\u2581end"), "deepseek-v3.2": (DSML,), "deepseek-v4": (DSML,), "llama3": ("<|python_tag|>",),
                 "command-r7b": ("<|START_ACTION|>", "<|END_ACTION|>", "<|START_RESPONSE|>", "<|END_RESPONSE|>", "<|START_THINKING|>", "<|END_THINKING|>")}
        args = '{"city": "Bonn", "days": %s}'
        calls = {"mistral-args": ("[TOOL_CALLS]weather[ARGS]" + args, "[TOOL_CALLS]now[ARGS]{}"), "mistral": ('[TOOL_CALLS][{"name": "weather", "arguments": %s}]' % args, '[TOOL_CALLS][{"name": "now", "arguments": {}}]'),
                 "granite": ('<|tool_call|>[{"name": "weather", "arguments": %s}]' % args, '<|tool_call|>[{"name": "now", "arguments": {}}]'),
                 "hermes": ('<tool_call>{"name": "weather", "arguments": %s}</tool_call>' % args, '<tool_call>\n{"name": "now", "arguments": {}}\n</tool_call>'),
                 "kimi-k2": ("<|tool_calls_section_begin|><|tool_call_begin|>functions.weather:0<|tool_call_argument_begin|>" + args + "<|tool_call_end|><|tool_calls_section_end|>",
                             "<|tool_calls_section_begin|><|tool_call_begin|>functions.now:10<|tool_call_argument_begin|>{}<|tool_call_end|><|tool_calls_section_end|>"),
                 "deepseek": (DS % "calls\u2581begin" + BEGIN + "weather" + SEP + args + END + DS % "calls\u2581end", DS % "calls\u2581begin" + BEGIN + "function" + SEP + "now\n```json\n{}\n```" + END + DS % "calls\u2581end"),
                 "deepseek-v3.2": (('<@function_calls>\n<@invoke name="weather">\n<@parameter name="city" string="true">Bonn</@parameter>\n<@parameter name="days" string="false">%s</@parameter>\n</@invoke>\n</@function_calls>').replace("@", DSML),
                                   '<@function_calls>\n<@invoke name="now">\n</@invoke>\n</@function_calls>'.replace("@", DSML)),
                 "llama3": ('<|python_tag|>{"name": "weather", "parameters": %s}' % args, '{"name": "now", "parameters": {}}'),
                 "command-r7b": ('<|START_ACTION|>[{"tool_call_id": "0", "tool_name": "weather", "parameters": %s}]<|END_ACTION|>' % args, '<|START_ACTION|>[{"tool_call_id": "1", "tool_name": "now", "parameters": {}}]<|END_ACTION|>')}
        calls["deepseek-v4"] = tuple(c.replace("function_calls", "tool_calls") for c in calls["deepseek-v3.2"])
        letters = [chr(b) if not (b <= 32 or 127 <= b <= 160 or b == 173) else None for b in range(256)]
        other = iter(range(256, 400))
        vocab = {(c or chr(next(other))): b for b, c in enumerate(letters)}
        for form, control in marks.items():
            names = list(control) + ["<|other|>", "</s>"]
            t = decai.Tokenizer.open(CONTEXT, json.dumps({"added_tokens": [{"id": 256 + i, "content": c, "special": True} for i, c in enumerate(names)],
                "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True}, "decoder": {"type": "ByteLevel"},
                "model": {"type": "BPE", "merges": [], "vocab": {**vocab, **{c: 256 + i for i, c in enumerate(names)}}}}).encode())
            g = decai.Grammar(t, "tools", json.dumps({"format": form, "whole": True, "tools": self.STRICT}), None)
            taken = lambda text, flags: (lambda m, ids: m.add(ids) == len(ids) and bool(m.forced_get().complete))(decai.Matcher(g), t.encode(text, flags))  # noqa: B023
            think = {"mistral-args": "[THINK]hm[/THINK]", "hermes": "<think>hm</think>", "command-r7b": "<|START_THINKING|>hm<|END_THINKING|>"}.get(form, "")
            for flags in (0, decai.ENCODE_SPECIAL):
                for text, yes in (("Hello", 1), (calls[form][0] % 3, 1), (calls[form][0] % 30, 0), (calls[form][1], 1), (think + calls[form][1], 1), ("so: " + calls[form][0] % 3, 1), (calls[form][0][:-1] % 3, form == "command-r7b"),
                                  ("a" + calls[form][1].replace("now", "later"), form == "llama3"), (control[0] + "x", form[:10] == "deepseek-v" and not flags), ("a" + control[0], form[:10] == "deepseek-v" and not flags)):
                    if not flags and sum(text.count(c) for c in control) > 1:
                        continue                                      # only the first mark may be spelled
                    self.assertEqual(taken(text, flags), bool(yes), (form, text, flags))
                    if yes and "now" in text and form != "llama3":
                        self.assertEqual(parse(form, text)["tool_calls"][0]["function"], {"name": "now", "arguments": "{}"}, (form, text))
            self.assertFalse(taken("a<|other|>", decai.ENCODE_SPECIAL) or taken(control[-1], decai.ENCODE_SPECIAL) and form not in ("command-r7b",), form)
            if form == "command-r7b":
                self.assertTrue(taken("<|START_RESPONSE|>Hi.<|END_RESPONSE|>", decai.ENCODE_SPECIAL))
            # Walks: what the masks let come is what is taken, and reads as valid calls.
            for seed in range(6):
                r, m, ids = random.Random(seed), decai.Matcher(g), []
                ids = list(t.encode(calls[form][0].split("weather")[0].split("<" + DSML + "invoke")[0], decai.ENCODE_SPECIAL))
                self.assertEqual(m.add(ids), len(ids))
                while not m.forced_get().complete and len(ids) < 900:
                    may = self.walker.allowed(m.mask_get())
                    self.assertNotIn(255, may)
                    soon = [i for i in (34, 125, 93, 44, 48) if i in may] if len(ids) > 60 and r.randrange(4) else []
                    ids.append(soon[0] if soon else r.choice(sorted(may)))
                    self.assertEqual(m.add(ids[-1:]), 1)
                if m.forced_get().complete:
                    got = parse(form, t.decode(ids, decai.DECODE_SPECIAL | decai.DECODE_CONTINUE).decode())
                    self.assertTrue(got["tool_calls"] and got["complete"], (form, got))

    def test_published_templates_write_what_grammars_allow(self):
        if not os.path.isdir(TEMPLATES):
            self.skipTest("no published vectors")
        taken, grammars = {}, {}
        for name, form, start, whole in rendered(WEATHER):
            if form in ("gemma", "command-r", "functionary-v3.2", "harmony") or "weather" not in whole[start:]:
                continue
            if form not in grammars:
                grammars[form] = self.grammar(format=form, whole=True, tools=WEATHER_TOOLS)
            m, done = decai.Matcher(grammars[form]), 0
            for i, letter in enumerate(whole[start:]):
                ids = self.tokenizer.encode(letter, 0)
                if m.add(ids) != len(ids):
                    break
                done = i + 1 if m.forced_get().complete else done
            calls = parse(form, whole[start:start + done])["tool_calls"]
            taken[name] = taken.get(name) or [c["function"]["name"] for c in calls] == ["weather"]
        self.assertGreater(len(taken), 40)
        self.assertEqual([name for name, fine in taken.items() if not fine], [])

    def test_messages_of_harmony(self):
        names = ["<|channel|>", "<|message|>", "<|start|>", "<|end|>", "<|constrain|>", "<|call|>", "<|return|>"]
        vocab = {}
        other = iter(range(256, 400))
        for b in range(256):
            vocab[chr(next(other)) if b <= 32 or 127 <= b <= 160 or b == 173 else chr(b)] = b
        t = decai.Tokenizer.open(CONTEXT, json.dumps({"added_tokens": [{"id": 256 + i, "content": c, "special": True} for i, c in enumerate(names)],
            "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True}, "decoder": {"type": "ByteLevel"},
            "model": {"type": "BPE", "merges": [], "vocab": {**vocab, **{c: 256 + i for i, c in enumerate(names)}}}}).encode())
        make = lambda **m: decai.Grammar(t, "tools", json.dumps({"format": "harmony", "whole": True, "tools": self.STRICT, **m}), None)  # noqa: E731
        thought, final = "<|channel|>analysis<|message|>Hm < x.<|end|><|start|>assistant", "<|channel|>final<|message|>Hello."
        call = "<|channel|>commentary to=functions.weather <|constrain|>json<|message|>{\"city\": \"Bonn\", \"days\": %s}"
        rows = ((final, 1), (thought + final, 1), (thought + call % 3, 1), (thought + "<|channel|>commentary<|message|>I look.<|end|><|start|>assistant" + call % 3, 1), (call % 30, 0), ("Hello", 0), ("", 0),
                (thought + ' to=functions.now<|channel|>commentary json<|message|>{}', 1), (thought + " to=functions.later<|channel|>commentary<|message|>{}", 0), (final + "<|end|>", 0),
                (thought, 0), (call.replace(" <|constrain|>json", "") % 3, 1), (final + "<|channel|>", 0))
        for g, must in ((make(), False), (make(tool_choice="required"), True)):
            for text, yes in rows:
                m, ids = decai.Matcher(g), t.encode(text, decai.ENCODE_SPECIAL)
                took = 0
                while took < len(ids) and m.mask_get()[ids[took] // 8] >> ids[took] % 8 & 1 and m.add(ids[took:took + 1]):
                    took += 1
                fine = took == len(ids) and bool(m.forced_get().complete)
                self.assertEqual(fine, bool(yes) and not (must and "final" in text), (text, must))
                if fine:
                    # both end tokens may come; <|end|> is none
                    may = m.mask_get()
                    self.assertEqual([may[i // 8] >> i % 8 & 1 for i in (261, 262)], [1, 1], text)
                    got = parse("harmony", text)
                    self.assertEqual((len(got["tool_calls"]), got["complete"]), (int("to=" in text), True), text)

    def test_published_vocabularies(self):
        """Tokens as models write them: marks are one token each, control or not."""
        for vocab, form, call in (("qwen35", "qwen3-coder", "<tool_call>\n<function=weather>\n<parameter=city>\nBonn\n</parameter>\n</function>\n</tool_call>"),
                                  ("gemma-4", "gemma4", '<|channel>thought\nhm<channel|><|tool_call>call:weather{city:<|"|>Bonn<|"|>,days:3}<tool_call|>'),
                                  ("llama-bpe", "llama3", '{"name": "weather", "parameters": {"city": "Bonn", "days": 3}}')):
            path = os.path.join(os.path.dirname(TEMPLATES), "ggml-vocab-%s.gguf" % vocab)
            if not os.path.isfile(path):
                self.skipTest("no published vectors")
            t = decai.Tokenizer(decai.Model.load(CONTEXT, path))
            g = decai.Grammar(t, "tools", json.dumps({"format": form, "whole": True, "tools": self.STRICT[:1]}), None)
            for text, yes in ((call, 1), ("Words." + call, form != "llama3"), (call.replace("weather", "now"), 0), ("Words \u20ac alone.", 1)):
                if text.startswith("Words.<|channel>"):
                    text = text.replace("<|channel>thought\nhm<channel|>", "")
                m, ids = decai.Matcher(g), t.encode(text, decai.ENCODE_SPECIAL)
                took = 0
                while took < len(ids) and m.mask_get()[ids[took] // 8] >> ids[took] % 8 & 1 and m.add(ids[took:took + 1]):
                    took += 1
                self.assertEqual(took == len(ids) and bool(m.forced_get().complete), bool(yes) or (form == "llama3" and text.startswith("Words.")), (vocab, text))

    def test_walks_behind_a_mark(self):
        """Random tokens of the masks behind a mark: always a call that its schema allows."""
        import random
        import test_schema
        schemas = {t["function"]["name"]: t["function"].get("parameters", {}) for t in TOOLS}
        for form in ("hermes", "nemotron", "tool-calls", "functionary", "apertus", "lfm2"):
            g, mark, seen = self.grammar(format=form, whole=True, tools=self.LIMITED), self.WHOLE[form][0], set()
            for seed in range(15):
                r, m = random.Random(seed), decai.Matcher(g)
                ids = list(self.tokenizer.encode("so: " + mark, 0))
                self.assertEqual(m.add(ids), len(ids))
                while not m.forced_get().complete:
                    may = self.walker.allowed(m.mask_get())
                    soon = [i for i in self.walker.soon if i in may] if len(ids) > 60 and r.randrange(4) else []
                    ids.append(soon[0] if soon else r.choice(sorted(may)))
                    self.assertEqual(m.add(ids[-1:]), 1)
                    self.assertLess(len(ids), 1500)
                text = self.tokenizer.decode(ids, decai.DECODE_CONTINUE).decode()
                got = parse(form, text)
                self.assertEqual((got["complete"], got["content"]), (True, "so:"), (form, text))
                for c in got["tool_calls"]:
                    seen.add(c["function"]["name"])
                    self.assertTrue(test_schema.schemas.valid(schemas[c["function"]["name"]], json.loads(c["function"]["arguments"])), (form, text))
            self.assertEqual(seen, set(schemas), form)

    def test_refused(self):
        for form in ("gemma", "command-r", "functionary-v3.2"):
            with self.assertRaises(decai.UnsupportedError) as caught:
                self.grammar(format=form, whole=True)
            self.assertIn("whole", str(caught.exception))
        with self.assertRaises(decai.CorruptError):
            self.grammar(format="hermes", whole=1)
        with self.assertRaises(decai.InvalidError):
            self.grammar(format="hermes", thinking=True)
        with self.assertRaises(decai.CorruptError):
            self.grammar(format="hermes", whole=True, tools=[{"name": "a", "strict": "yes"}])
        for more, error in (({"format": "other"}, decai.InvalidError), ({"format": "none"}, decai.InvalidError), ({"format": "hermes", "tool_choice": "none"}, decai.InvalidError),
                            ({"format": "hermes", "tool_choice": {"name": "x"}}, decai.InvalidError), ({"format": "hermes", "tools": []}, decai.InvalidError),
                            ({"format": "hermes", "more": 1}, decai.UnsupportedError), ({"format": "hermes", "tools": [{"name": "a b"}]}, decai.CorruptError), ({"format": "hermes", "tools": 3}, decai.CorruptError),
                            ({"format": "hermes", "tools": [{"name": "a", "parameters": {"not": {}}}]}, decai.UnsupportedError)):
            with self.assertRaises(error) as caught:
                self.grammar(**more)
        self.assertIn("#/a/not", str(caught.exception))
        for text in ("[]", "3", "{"):
            with self.assertRaises(decai.Error):
                decai.Grammar(self.tokenizer, "tools", text, None)


if __name__ == "__main__":
    unittest.main()
