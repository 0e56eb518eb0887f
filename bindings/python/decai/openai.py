"""The `openai` client over an engine in this process: no server, no socket.

    import decai, decai.openai
    context = decai.Context()
    model = decai.Model.load(context, "model.gguf")
    client = decai.openai.client(context, model)                # an openai.OpenAI
    for part in client.chat.completions.create(model=client.models.list().data[0].id, stream=True,
                                               messages=[{"role": "user", "content": "hello"}]):
        print(part.choices[0].delta.content or "", end="")

The client builds its HTTP requests as for any server; an httpx transport takes
them before they leave the process and answers them: chat completions,
completions, embeddings, models, streamed or whole. So does whatever takes an
`openai.OpenAI` or an `httpx.Client`: agents, evaluation suites, LangChain. Needs
the package openai (with httpx, which it brings), only when this module is imported.

One seed gives one answer. A field that is not understood is refused by name,
never ignored. "decai_receipt": true (extra_body) adds the receipt of the run.
"""
import asyncio
import base64
import json
import os
import re
import struct
import threading
import time
import uuid

try:
    import httpx2 as httpx      # what the client sends with from its version 3 on
except ImportError:
    import httpx

from . import (ANSWER_ARGUMENTS, ANSWER_CALL, ANSWER_CONTENT, ANSWER_LAST, ANSWER_NONE, ANSWER_REASONING, ANSWER_THINKING,
               DECODE_SPECIAL, EMBED_NORMALISE, ENCODE_ADD, ENCODE_SPECIAL, LOGIT_BIAS_MAX, PROFILE_LOCAL, STOP_COUNT_MAX, TOKEN_END,
               CorruptError, Engine, Error, Grammar, InvalidError, NotFoundError, LimitError, Session, Template, TemplateError,
               Tokenizer, TokenStream, UnsupportedError)
from . import Answer as Parts
from ._plain import Plain

BASE_URL = "http://decai.local/v1"   # never looked up: the transport answers
CHOICES_MAX = 32                     # n
GRAMMARS_KEPT = 16                   # the last that were asked for
# What begins reasoning: where a prompt ends with one, the answer is inside.
THINKS = b"<think>", b"[THINK]", b"<seed:think>", b"<|START_THINKING|>", b"<|inner_prefix|>", b"<|channel>thought"
TOP_LOGPROBS_MAX = 20                # top_logprobs, as the public service has it


class Refused(Exception):
    """A request that is answered with an error: status, message, field, code."""

    def __init__(self, status, message, param=None, code=None):
        super().__init__(message)
        self.status, self.param, self.code = status, param, code

    def body(self):
        kind = "server_error" if self.status >= 500 else "invalid_request_error"
        return {"error": {"message": str(self), "type": kind, "param": self.param, "code": self.code}}


# ---- fields --------------------------------------------------------------------

class Fields:
    """A request's members; each is read once, with its type and bounds; the rest is refused."""

    def __init__(self, raw):
        try:
            self.left = json.loads(raw)
        except (ValueError, RecursionError) as e:
            raise Refused(400, "the body is no JSON: %s" % e) from None
        if not isinstance(self.left, dict):
            raise Refused(400, "the body is no JSON object")

    def take(self, name, kind, low=None, high=None, default=None):
        value = self.left.pop(name, None)
        if value is None:
            return default
        fits = isinstance(value, kind) and not (isinstance(value, bool) and kind is not bool)
        if not fits:
            raise Refused(400, "%s: %s is not what this field takes" % (name, json.dumps(value)[:80]), name)
        if (low is not None and value < low) or (high is not None and value > high):
            raise Refused(400, "%s: %r is not in %r .. %r" % (name, value, low, high), name)
        return value

    def number(self, name, low, high, default=None):
        return self.take(name, (int, float), low, high, default)

    def end(self):
        self.left = {k: v for k, v in self.left.items() if v is not None}
        for name in self.left:
            raise Refused(400, "%s: this field is not supported" % name, name, "unsupported_parameter")


def _texts(value, name, most):
    """A string, or a list of them."""
    value = [value] if isinstance(value, str) else value
    if not isinstance(value, list) or not all(isinstance(v, str) for v in value) or len(value) > most:
        raise Refused(400, "%s: a text, or a list of at most %d" % (name, most), name)
    return value


def _bias(given):
    """{"id": -100 .. 100} as infer.logit_bias; -100 is never."""
    parts = []
    for token, value in given.items():
        if not re.fullmatch(r"\d{1,7}", token) or isinstance(value, bool) or not isinstance(value, (int, float)) or abs(value) > 100:
            raise Refused(400, "logit_bias: %s: %s is no token id with a number of -100 .. 100" % (token, value), "logit_bias")
        parts.append("%d:%s" % (int(token), "-inf" if value <= -100 else "%.3f" % value))
    if len(parts) > LOGIT_BIAS_MAX:
        raise Refused(400, "logit_bias: %d tokens; at most %d" % (len(parts), LOGIT_BIAS_MAX), "logit_bias")
    return ",".join(parts)


def _form(fields):
    """(field, kind, text) of the grammar an answer has to follow, or None."""
    asked, gbnf = fields.take("response_format", dict), fields.take("grammar", str)
    kind = asked.get("type") if asked else "text"
    if kind not in ("text", "json_object", "json_schema"):
        raise Refused(400, "response_format: type %s is none of text, json_object, json_schema" % json.dumps(kind), "response_format")
    if gbnf is not None and kind != "text":
        raise Refused(400, "grammar: response_format is there already", "grammar")
    if gbnf is not None:
        return "grammar", "gbnf", gbnf
    if kind == "json_object":
        return "response_format", "json_schema", '{"type":"object"}'
    if kind == "json_schema":
        given = asked.get("json_schema")
        if not isinstance(given, dict) or not isinstance(given.get("schema"), (dict, bool)):
            raise Refused(400, "response_format: json_schema.schema is missing", "response_format")
        return "response_format", "json_schema", json.dumps(given["schema"], ensure_ascii=False)
    return None


class Tools:
    """tools and tool_choice: what the template is shown, and which grammar a call follows that must come,
    that is strict, or that is the only one."""

    def __init__(self, fields, backend):
        given, choice = fields.take("tools", list, default=[]), fields.left.pop("tool_choice", None) or "auto"
        parallel = fields.take("parallel_tool_calls", bool, default=True)
        for tool in given:
            function = tool.get("function") if isinstance(tool, dict) and tool.get("type") == "function" else None
            if not isinstance(function, dict) or not isinstance(function.get("name"), str) or not function["name"]:
                raise Refused(400, "tools: %s is no {type: function, function: {name: ..}}" % json.dumps(tool)[:80], "tools")
            if not isinstance(function.get("parameters", {}), dict):
                raise Refused(400, "tools: parameters of %s: no JSON Schema" % function["name"], "tools")
        named = choice.get("function", {}).get("name") if isinstance(choice, dict) and isinstance(choice.get("function", {}), dict) else None
        if not named and choice not in ("none", "auto", "required"):
            raise Refused(400, "tool_choice: none of none, auto, required and {type: function, function: {name: ..}}", "tool_choice")
        self.given = [] if choice == "none" else given
        self.form = self.written = self.source = None
        self.bound, self.parallel = False, parallel
        if not self.given:
            if named or choice == "required":
                raise Refused(400, "tool_choice: without tools", "tool_choice")
        elif named or choice == "required":
            self.form, self.written = self.forced(named), "llama3"   # a bare object, as Llama 3 writes calls
        elif not backend.call_form:
            raise Refused(400, "tools: this model's chat template teaches no form of calls that is known here; "
                               "tool_choice required needs none", "tools")
        else:
            self.written, self.source = backend.call_form, json.dumps(given, ensure_ascii=False)
            self.bound = not parallel or any(t["function"].get("strict") for t in given)

    def ready(self, asked, prompt):
        """Once there is a prompt: what the answer follows, and whether it begins inside reasoning."""
        if (self.form or self.bound) and asked.form:
            name = "tool_choice" if self.form else "tools"
            raise Refused(400, "%s: beside a response_format or a grammar" % name, name)
        asked.thinks = bool(self.source) and prompt.rstrip().endswith(THINKS) and not (asked.form and asked.form[0] == "response_format")
        if self.bound:
            self.form = "tools", "tools", '{"format":"%s","whole":true,"thinking":%s,"parallel_tool_calls":%s,"tools":%s}' % (
                self.written, json.dumps(asked.thinks), json.dumps(self.parallel), self.source)
        asked.form, asked.written, asked.tools = self.form or asked.form, self.written, self.source

    def forced(self, named):
        calls = [{"type": "object", "required": ["name", "arguments"], "additionalProperties": False, "properties": {
            "name": {"const": f["name"]}, "arguments": f.get("parameters") or {"type": "object", "additionalProperties": False}}}
            for f in (t["function"] for t in self.given) if named in (None, f["name"])]
        if not calls:
            raise Refused(400, "tool_choice: %s is none of the tools" % json.dumps(named), "tool_choice")
        return "tools", "json_schema", json.dumps({"anyOf": calls}, ensure_ascii=False)


class Asked:
    """What both kinds of completion have in common."""

    def __init__(self, fields):
        self.seed = fields.take("seed", int, -2 ** 63, 2 ** 63 - 1)
        self.seed = int.from_bytes(os.urandom(8), "little") if self.seed is None else self.seed
        self.options = {
            "infer.temperature": float(fields.number("temperature", 0, 2, 1.0)),
            "infer.top_p": float(fields.number("top_p", 0, 1, 1.0)),
            "infer.top_k": fields.take("top_k", int, 0, 1048576, 0),
            "infer.min_p": float(fields.number("min_p", 0, 1, 0.0)),
            "infer.presence_penalty": float(fields.number("presence_penalty", -2, 2, 0.0)),
            "infer.frequency_penalty": float(fields.number("frequency_penalty", -2, 2, 0.0)),
            "infer.penalty_last_n": -1, "infer.penalty_prompt": 0,
        }
        bias = _bias(fields.take("logit_bias", dict, default={}))
        if bias:
            self.options["infer.logit_bias"] = bias
        self.limit = fields.take("max_tokens", int, 1, 131072)
        self.limit = fields.take("max_completion_tokens", int, 1, 131072, self.limit)
        self.stop = [s.encode() for s in _texts(fields.left.pop("stop", None) or [], "stop", STOP_COUNT_MAX) if s]
        self.n = fields.take("n", int, 1, CHOICES_MAX, 1)
        self.stream = fields.take("stream", bool, default=False)
        shown = fields.take("stream_options", dict, default={})
        self.usage = shown.pop("include_usage", False) if self.stream else True
        shown.pop("include_obfuscation", None)
        if shown:
            raise Refused(400, "stream_options: %s: not supported" % next(iter(shown)), "stream_options")
        self.receipt = fields.take("decai_receipt", bool, default=False)
        fields.take("user", str)
        fields.take("metadata", dict)
        fields.take("store", bool)
        self.form = _form(fields)
        self.written = None   # how calls of tools are written; None: there are no tools
        self.thinks = False   # it begins inside the reasoning that the template began
        self.tools = None     # they, as JSON, where their schemas say how calls are read
        self.top = None       # likeliest tokens to tell of each; None: no log-probabilities


# ---- one answer ------------------------------------------------------------------

class Answer:
    """One choice, token by token: iterate for (text, logprob rows, deltas of reasoning and calls);
    then why it ended."""

    def __init__(self, backend, ids, asked, index):
        options = dict(asked.options, **{"infer.seed": (asked.seed + index) % 2 ** 63})
        options["infer.max_tokens"] = asked.limit or 0
        if asked.receipt:
            options["infer.activation_tree"] = 1
        self.backend, self.ids, self.asked = backend, ids, asked
        self.session = Session(backend.engine, options)
        if asked.form:
            self.session.grammar_set(backend.grammar(*asked.form))
        self.stream = TokenStream(backend.tokenizer, DECODE_SPECIAL if asked.written else 0)
        for text in asked.stop:
            self.stream.stop_add(text)
        self.generated, self.reason = 0, "length"
        self.parts = Parts(backend.context, asked.written, asked.tools, ANSWER_THINKING if asked.thinks else 0) if asked.written else None
        self.thought, self.begun = [], []      # pieces of reasoning; (delta with the name, pieces of arguments) of calls

    def __iter__(self):
        for text, rows in self._written():
            text, deltas = self._take(text, 0) if self.parts else (text, [])
            if text or rows or deltas:
                yield text, rows, deltas
        if self.parts:
            text, deltas = self._take("", ANSWER_LAST)
            if self.begun and self.reason == "stop":
                self.reason = "tool_calls"
            if text or deltas:
                yield text, [], deltas

    def _take(self, text, flags):
        """What more of the answer says: its content, and what goes into deltas beside it."""
        content, deltas = [], []
        self.parts.add(text, flags)
        while True:
            out, kind, index = self.parts.next()
            if kind == ANSWER_NONE:
                return "".join(content), deltas
            said = out.decode()
            if kind == ANSWER_CONTENT:
                content.append(said)
            elif kind == ANSWER_REASONING:
                self.thought.append(said)
                deltas.append({"reasoning_content": said})
            elif kind == ANSWER_CALL:
                call = {"id": "call_" + uuid.uuid4().hex[:24], "type": "function", "function": {"name": said, "arguments": ""}}
                self.begun.append((call, []))
                deltas.append({"tool_calls": [dict(call, index=index)]})
            elif kind == ANSWER_ARGUMENTS:
                self.begun[index][1].append(said)
                deltas.append({"tool_calls": [{"index": index, "function": {"arguments": said}}]})

    @property
    def calls(self):
        return [dict(call, function=dict(call["function"], arguments="".join(pieces))) for call, pieces in self.begun]

    @property
    def reasoning(self):
        return "".join(self.thought)

    def _written(self):
        try:
            self.session.add(self.ids)
            while (token := self._next()) is not None:
                self.generated += 1
                rows = self._logprobs(token) if self.asked.top is not None else []
                text = b"" if self.asked.written and token in self.backend.ends else self.stream.add(token)
                self.reason = "length"
                if self.stream.stop_get() is not None:
                    self.reason = "stop"
                    yield text.decode(), rows
                    return
                if token in self.backend.ends:
                    self.reason, rows = "stop", []
                if text or rows:
                    yield text.decode(), rows
            text = self.stream.add(TOKEN_END)
            if text:
                yield text.decode("utf-8", "replace"), []
        finally:
            self.close()

    def _next(self):
        try:
            return self.session.next()
        except LimitError:          # the context is full: "length"
            return None

    def _logprobs(self, token):
        found = self.session.top_get(self.asked.top)
        rows = [self.backend.logprob(t, p) for t, p in zip(found.tokens, found.logprobs)]
        return [dict(rows[0], top_logprobs=rows[1:])]

    def close(self):
        self.stream.close()

    def receipt(self):
        """The receipt of the run and what opens it, in base64."""
        made = self.session.receipt_create(self.backend.tokenizer, {"proof.profile": PROFILE_LOCAL})
        return {"id": made.id_get().hex(), "receipt": base64.b64encode(made.encode()).decode(),
                "opening": base64.b64encode(made.opening_get()).decode()}


# ---- routes ------------------------------------------------------------------------

class Backend:
    """An engine with what turns requests into tokens; shared by any number of clients and threads."""

    def __init__(self, context, model, engine=None, name=None, template=None, allow_special=False):
        """allow_special: the text of control tokens in messages becomes those tokens."""
        self.context, self.model, self.engine = context, model, engine or Engine(model)
        self.tokenizer = Tokenizer(model)
        self.plain = None if allow_special else Plain(self.tokenizer)
        self.name = name or self._named(model)
        self.created = int(time.time())
        self.fingerprint = "decai_" + model.root_get().hex()[:16]
        self.encode_lock, self.grammar_lock, self.grammars = threading.Lock(), threading.Lock(), {}
        try:
            self.template = Template(context, model, template)
        except NotFoundError:
            self.template = None
        try:
            self.call_form = self.template.calls_get().decode() if self.template else None
        except NotFoundError:
            self.call_form = None
        self.ends = set()
        for role in ("eos", "eot"):
            try:
                self.ends.add(self.tokenizer.special_get(role))
            except NotFoundError:
                pass

    @staticmethod
    def _named(model):
        try:
            name = model.metadata_get("general.name").decode("utf-8", "replace")
        except Error:
            name = ""
        return re.sub(r"[^\w.:/-]+", "-", name).strip("-") or "decai"

    def answer(self, method, path, raw):
        """(status, body): an object, or an iterator of the objects of a stream."""
        try:
            return 200, self._route(method, path, raw)
        except Refused as e:
            return e.status, e.body()
        except TemplateError as e:
            return 400, Refused(400, "messages: the chat template refuses: %s" % e.detail, "messages").body()
        except LimitError as e:
            return 400, Refused(400, e.detail, None, "context_length_exceeded").body()
        except Error as e:
            return 500, Refused(500, str(e), None, e.name).body()

    def _route(self, method, path, raw):
        path = path.rstrip("/")
        if path == "/v1/models" and method == "GET":
            return {"object": "list", "data": [self._model()]}
        if path.startswith("/v1/models/") and method == "GET":
            self._named_right(path[len("/v1/models/"):])
            return self._model()
        doors = {"/v1/chat/completions": self._chat, "/v1/completions": self._completions, "/v1/embeddings": self._embeddings}
        if path not in doors:
            raise Refused(404, "no route %s %s; there are /v1/models, %s" % (method, path, ", ".join(sorted(doors))))
        if method != "POST":
            raise Refused(405, "%s takes POST" % path)
        fields = Fields(raw)
        self._named_right(fields.take("model", str))
        return doors[path](fields)

    def _named_right(self, name):
        if name != self.name:
            raise Refused(404, "model: there is no %r here; there is %r" % (name, self.name), "model", "model_not_found")

    def _model(self):
        return {"id": self.name, "object": "model", "created": self.created, "owned_by": "decai"}

    def logprob(self, token, value):
        data = self.tokenizer.token_get(token).out
        return {"token": data.decode("utf-8", "replace"), "bytes": list(data), "logprob": value}

    def grammar(self, field, kind, text):
        """Made once, kept while it is among the last few asked for: making masks is what costs."""
        key = (kind, text)
        with self.grammar_lock:
            made = self.grammars.pop(key, None)
            if made is None:
                try:
                    made = Grammar(self.tokenizer, kind, text)
                except (CorruptError, InvalidError, LimitError, UnsupportedError) as e:
                    raise Refused(400, "%s: %s" % (field, e.detail), field) from None
            self.grammars[key] = made
            while len(self.grammars) > GRAMMARS_KEPT:
                self.grammars.pop(next(iter(self.grammars)))
            return made

    # ---- chat

    def _chat(self, fields):
        if self.template is None:
            raise Refused(400, "messages: this model has no chat template; give one to decai.openai.client, or use completions", "messages")
        messages = fields.take("messages", list)
        if not messages or not all(isinstance(m, dict) and isinstance(m.get("role"), str) for m in messages):
            raise Refused(400, "messages: a list of objects with a role", "messages")
        asked = Asked(fields)
        if fields.take("logprobs", bool, default=False):
            asked.top = fields.take("top_logprobs", int, 0, TOP_LOGPROBS_MAX, 0)
        tools = Tools(fields, self)
        variables = {"messages": messages, "tools": tools.given or None, "documents": None, "add_generation_prompt": True}
        variables.update(fields.take("chat_template_kwargs", dict, default={}))
        fields.end()
        try:
            variables, mark = self.plain.mark(variables) if self.plain else (variables, None)
        except ValueError as e:
            raise Refused(400, "messages: %s" % e, "messages") from None
        text = self.template.format(json.dumps(variables, ensure_ascii=False))
        tools.ready(asked, text)
        ids = self.plain.encode(text, mark) if mark else self.tokenizer.encode(text, ENCODE_SPECIAL)
        return self._complete(ids, asked, ChatShape)

    # ---- completions

    def _completions(self, fields):
        prompt = fields.left.pop("prompt", None)
        asked = Asked(fields)
        asked.top = fields.take("logprobs", int, 0, TOP_LOGPROBS_MAX)
        asked.limit = asked.limit or 16      # as the public service has it
        fields.end()
        rows = self._inputs(prompt, "prompt", ENCODE_ADD)
        if len(rows) != 1:
            raise Refused(400, "prompt: one text or one list of ids a request", "prompt")
        return self._complete(rows[0], asked, TextShape)

    def _complete(self, ids, asked, kind):
        if not ids:
            raise Refused(400, "the prompt is empty")
        answers = [Answer(self, ids, asked, i) for i in range(asked.n)]
        shape = kind(self, asked)
        if asked.stream:
            return self._first(shape.parts(answers))
        choices = [shape.choice(i, a) for i, a in enumerate(answers)]
        return shape.whole(choices, answers)

    @staticmethod
    def _first(parts):
        """What fails before anything was said is an error with a status, not a broken stream."""
        first = next(parts)

        def all_of_them():
            yield first
            yield from parts
        return all_of_them()

    # ---- vectors

    def _inputs(self, given, name, flags):
        """A text, texts, ids or lists of ids: rows of ids."""
        ids = lambda v: isinstance(v, list) and v and all(isinstance(t, int) and not isinstance(t, bool) for t in v)  # noqa: E731
        if isinstance(given, str) or ids(given):
            given = [given]
        if not isinstance(given, list) or not given:
            raise Refused(400, "%s: a text, a list of texts, ids, or lists of ids" % name, name)
        rows = []
        for one in given:
            if isinstance(one, str):
                rows.append(self.tokenizer.encode(one, flags))
            elif ids(one):
                rows.append(one)
            else:
                raise Refused(400, "%s: %s is neither a text nor ids" % (name, json.dumps(one)[:80]), name)
        return rows

    def _embeddings(self, fields):
        rows = self._inputs(fields.left.pop("input", None), "input", ENCODE_ADD)
        form = fields.take("encoding_format", str, default="float")
        if form not in ("float", "base64"):
            raise Refused(400, "encoding_format: %r is neither float nor base64" % form, "encoding_format")
        asked_width = fields.take("dimensions", int, 1)
        fields.take("user", str)
        fields.end()
        if not all(rows):
            raise Refused(400, "input: a text without tokens", "input")
        with self.encode_lock:
            values = self.engine.encode([t for row in rows for t in row], [len(row) for row in rows], EMBED_NORMALISE)
        width = len(values) // len(rows)
        if asked_width not in (None, width):
            raise Refused(400, "dimensions: this model's vectors have %d" % width, "dimensions")
        vectors = [values[i * width:(i + 1) * width] for i in range(len(rows))]
        if form == "base64":
            vectors = [base64.b64encode(struct.pack("<%df" % width, *v)).decode() for v in vectors]
        total = sum(map(len, rows))
        return {"object": "list", "model": self.name, "usage": {"prompt_tokens": total, "total_tokens": total},
                "data": [{"object": "embedding", "index": i, "embedding": v} for i, v in enumerate(vectors)]}


# ---- shapes --------------------------------------------------------------------------

class Shape:
    """What the two kinds of completion look like, whole and in parts."""
    prefix, name, part_name = "", "", ""

    def __init__(self, backend, asked):
        self.asked = asked
        self.base = {"id": self.prefix + uuid.uuid4().hex, "created": int(time.time()), "model": backend.name,
                     "system_fingerprint": backend.fingerprint}

    @staticmethod
    def usage(answers):
        prompt, written = len(answers[0].ids), sum(a.generated for a in answers)
        return {"prompt_tokens": prompt, "completion_tokens": written, "total_tokens": prompt + written}

    def choice(self, index, answer):
        text, rows = "", []
        for more, more_rows, _ in answer:
            text, rows = text + more, rows + more_rows
        made = dict(self.said(text, answer), index=index, finish_reason=answer.reason, logprobs=self.logprobs(rows))
        if self.asked.receipt:
            made["decai_receipt"] = answer.receipt()
        return made

    def whole(self, choices, answers):
        return dict(self.base, object=self.name, choices=choices, usage=self.usage(answers))

    def part(self, index, said, reason=None, rows=(), more=None):
        made = dict(said, index=index, finish_reason=reason, logprobs=self.logprobs(list(rows)), **(more or {}))
        return dict(self.base, object=self.part_name, choices=[made])

    def parts(self, answers):
        for index, answer in enumerate(answers):
            begun = False
            for text, rows, deltas in answer:
                if text or rows or not begun:
                    yield self.part(index, self.delta(text, not begun), None, rows)
                begun = True
                for more in deltas:
                    yield self.part(index, {"delta": more})
            more = {"decai_receipt": answer.receipt()} if self.asked.receipt else None
            yield self.part(index, self.delta("", not begun), answer.reason, (), more)
        if self.asked.usage:
            yield dict(self.base, object=self.part_name, choices=[], usage=self.usage(answers))


class ChatShape(Shape):
    prefix, name, part_name = "chatcmpl-", "chat.completion", "chat.completion.chunk"

    def said(self, text, answer):
        said = {"role": "assistant", "content": text if text or not answer.calls else None, "refusal": None}
        if answer.calls:
            said["tool_calls"] = answer.calls
        if answer.reasoning:
            said["reasoning_content"] = answer.reasoning
        return {"message": said}

    def delta(self, text, first):
        said = {"content": text} if text or first else {}
        return {"delta": dict({"role": "assistant"} if first else {}, **said)}

    def logprobs(self, rows):
        return {"content": rows, "refusal": None} if rows else None


class TextShape(Shape):
    prefix, name, part_name = "cmpl-", "text_completion", "text_completion"

    def said(self, text, answer):
        return {"text": text}

    def delta(self, text, first):
        return {"text": text}

    def logprobs(self, rows):
        if not rows:
            return None
        offsets, at = [], 0
        for row in rows:
            offsets.append(at)
            at += len(row["token"])
        return {"tokens": [r["token"] for r in rows], "token_logprobs": [r["logprob"] for r in rows], "text_offset": offsets,
                "top_logprobs": [{t["token"]: t["logprob"] for t in r["top_logprobs"]} for r in rows]}


# ---- transports ------------------------------------------------------------------------

def _line(value):
    return ("data: %s\n\n" % json.dumps(value, ensure_ascii=False)).encode()


def _events(parts):
    """Server-sent events. What fails half way is said in the stream, as servers do."""
    try:
        for part in parts:
            yield _line(part)
    except Error as e:
        yield _line(Refused(500, str(e), None, e.name).body())
        return
    yield b"data: [DONE]\n\n"


class _Stream(httpx.SyncByteStream):
    def __init__(self, parts):
        self.parts = parts

    def __iter__(self):
        return self.parts

    def close(self):
        self.parts.close()      # a client that goes away ends the run


class _AsyncStream(httpx.AsyncByteStream):
    """Each step in a thread, so that the event loop never waits for the engine."""

    def __init__(self, parts):
        self.parts, self.closed = parts, False

    async def __aiter__(self):
        while (part := await asyncio.to_thread(next, self.parts, None)) is not None:
            yield part

    async def aclose(self):
        try:
            self.parts.close()
        except ValueError:      # a step is still running in its thread; it is the last
            pass


class Transport(httpx.BaseTransport):
    """For httpx.Client(transport=...)."""

    def __init__(self, backend):
        self.backend = backend

    def handle_request(self, request):
        status, body = self.backend.answer(request.method, request.url.path, request.read())
        if isinstance(body, dict):
            return httpx.Response(status, json=body)
        return httpx.Response(status, headers={"content-type": "text/event-stream"}, stream=_Stream(_events(body)))


class AsyncTransport(httpx.AsyncBaseTransport):
    """For httpx.AsyncClient(transport=...)."""

    def __init__(self, backend):
        self.backend = backend

    async def handle_async_request(self, request):
        raw = await request.aread()
        status, body = await asyncio.to_thread(self.backend.answer, request.method, request.url.path, raw)
        if isinstance(body, dict):
            return httpx.Response(status, json=body)
        return httpx.Response(status, headers={"content-type": "text/event-stream"}, stream=_AsyncStream(_events(body)))


def client(context, model, **more):
    """An openai.OpenAI whose requests are answered here. more: engine, name, template, allow_special."""
    from openai import OpenAI
    backend = more.pop("backend", None) or Backend(context, model, **more)
    return OpenAI(api_key="none", base_url=BASE_URL, http_client=httpx.Client(transport=Transport(backend)), max_retries=0)


def async_client(context, model, **more):
    """The same as an openai.AsyncOpenAI."""
    from openai import AsyncOpenAI
    backend = more.pop("backend", None) or Backend(context, model, **more)
    return AsyncOpenAI(api_key="none", base_url=BASE_URL, http_client=httpx.AsyncClient(transport=AsyncTransport(backend)), max_retries=0)
