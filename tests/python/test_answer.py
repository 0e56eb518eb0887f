"""Answers taken apart: every format of tool calls, whole and byte by byte, and broken."""
import json
import os
import unittest

import decai

CONTEXT = decai.Context()
TEMPLATES = os.path.join(os.environ.get("DECAI_VECTORS", "../shared/vectors"), "tokenizers", "templates")
DS = "<\uff5ctool\u2581%s\uff5c>"
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
     "<tool_call><function=a><parameter=x>1</parameter><parameter=x>2</parameter></function></tool_call>", None, []),
    ("llama3", '{"name": "weather", "parameters": %s}' % ARGS, None, None, [("weather", ARGS)]),
    ("llama3", '<|python_tag|>{"name": "a", "parameters": {}}<|eom_id|>', None, None, [("a", "{}")]),
    ("llama3", '{"name": "a", "parameters": {}}; {"name": "b", "parameters": {"x": 1}}', None, None, [("a", "{}"), ("b", '{"x": 1}')]),
    ("llama3", '{"a": 1}', '{"a": 1}', None, []), ("llama3", "Plain {text}", "Plain {text}", None, []),
    ("gemma", '```json\n{"name": "a", "parameters": {"x": 1}}\n```', None, None, [("a", '{"x": 1}')]),
    ("mistral", '[TOOL_CALLS][{"name": "a", "arguments": {"x": 1}, "id": "abcdefghi"}, {"name": "b", "arguments": {}}]', None, None, [("a", '{"x": 1}'), ("b", "{}")]),
    ("mistral", '[TOOL_CALLS][{"name": "a"}, 3]', '[TOOL_CALLS][{"name": "a"}, 3]', None, []),
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
]


class Answers(unittest.TestCase):
    def test_rows(self):
        for form, text, content, reasoning, calls in ROWS:
            got = parse(form, text)
            found = [(c["function"]["name"], c["function"]["arguments"]) for c in got["tool_calls"]]
            self.assertEqual((got["content"], got.get("reasoning"), found, got["complete"]), (content, reasoning, calls, True), (form, text))
            for c in got["tool_calls"]:
                self.assertEqual(c["type"], "function")
        self.assertEqual(parse("mistral", ROWS[19][1])["tool_calls"][0]["id"], "abcdefghi")

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
                "meetkai-functionary-medium-v3.1": "functionary", "meetkai-functionary-medium-v3.2": "functionary-v3.2", "google-gemma-2-2b-it": "gemma"}
        for name, form in want.items():
            with open(os.path.join(TEMPLATES, name + ".jinja"), encoding="utf-8") as f:
                self.assertEqual(decai.Template(CONTEXT, None, f.read()).calls_get().decode(), form, name)
        with self.assertRaises(decai.NotFoundError):
            decai.Template(CONTEXT, None, "{{ messages }}").calls_get()

    def test_small_templates(self):
        for text, form in (("<tool_call>", "hermes"), ("[TOOL_CALLS]", "mistral"), ("<|python_tag|>", "llama3"), ("<start_of_turn>", "gemma")):
            self.assertEqual(decai.Template(CONTEXT, None, text).calls_get(), form.encode())


if __name__ == "__main__":
    unittest.main()
