"""A `decai serve` of its own for a test: started on a free port, asked, ended."""
import atexit
import contextlib
import functools
import http.client
import json
import os
import signal
import ssl
import subprocess
import sys
import tempfile
import unittest

BUILD = os.environ.get("BUILD", "build/release")
SANITIZED = any(kind in BUILD for kind in ("asan", "tsan", "msan"))
PATIENCE = 8 if SANITIZED else 1                          # times as long may anything take
DECAI = os.path.join(BUILD, "decai")
MODEL = "examples/model/decai-actions.q8_0.gguf"
NAME = "decai-actions.q8_0"
PROMPT = "send 25 usdc to Maria"
ANSWER = '{"action":"transfer","amount":"25","token":"USDC","to":"Maria"}'
MESSAGES = [{"role": "user", "content": PROMPT}]
CHAT = "/v1/chat/completions"
# A template that shows all it is given: any number of messages makes a prompt.
TEMPLATE = ("{% for m in messages %}[{{ m.role }}{% if m.name %} {{ m.name }}{% endif %}] {{ m.content }}"
            "{% for c in m.tool_calls or [] %} call {{ c.function.name }} {{ c.function.arguments | tojson }}{% endfor %}"
            "{% endfor %}{% for t in tools or [] %} tool {{ t.function.name }}{% endfor %}<|sep|>")


def available():
    shown = subprocess.run([DECAI, "serve", "--help"], capture_output=True, text=True)
    return "libmicrohttpd" not in shown.stdout + shown.stderr


class Answer:
    def __init__(self, response):
        self.status, self.headers, self.body = response.status, response.headers, response.read()

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def error(self):
        return self.json["error"]

    @property
    def events(self):
        """The data of each event, [DONE] left out; it must be the last."""
        lines = [line[6:] for line in self.body.decode().split("\n") if line.startswith("data: ")]
        if lines[-1] != "[DONE]":
            raise AssertionError("the stream ends with %r" % lines[-1])
        return [json.loads(line) for line in lines[:-1]]


@functools.cache
def preloaded():
    """tests/tools/preload_serve.c as a library."""
    folder = tempfile.TemporaryDirectory(prefix="decai-preload-")
    atexit.register(folder.cleanup)
    path = os.path.join(folder.name, "preload.so")
    subprocess.run([os.environ.get("CC", "cc"), "-shared", "-fPIC", "-Iinclude", "-o", path, "tests/tools/preload_serve.c", "-ldl"], check=True)
    return path


def preload(**variables):
    """The environment of a server with that before the library."""
    checks = os.environ.get("ASAN_OPTIONS", "")
    return dict(os.environ, LD_PRELOAD=preloaded(), ASAN_OPTIONS=(checks + ":" if checks else "") + "verify_asan_link_order=0", **variables)


class Server:
    def __init__(self, *args, model=MODEL, threads=1, env=None):
        models = [model] if isinstance(model, str) else model
        self.process = subprocess.Popen([DECAI, "serve", *(a for m in models for a in ("--model", m)), "--port", "0", "--threads", str(threads), *args],
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)
        line = self.process.stdout.readline()
        if "serving" not in line:
            raise AssertionError("it did not start: %s" % self.process.stderr.read())
        self.port = int(line.rsplit(":", 1)[1])
        self.tls = "https://" in line
        self.key = None

    def connect(self, timeout=30 * PATIENCE):
        if self.tls:
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=timeout, context=context)
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def ask(self, method, path, body=None, headers=None, connection=None):
        given = {"Content-Type": "application/json"} if body is not None else {}
        if self.key:
            given["Authorization"] = "Bearer " + self.key
        given.update(headers or {})
        raw = body if body is None or isinstance(body, (bytes, str)) else json.dumps(body)
        with contextlib.closing(connection or self.connect()) as c:
            c.request(method, path, raw, given)
            return Answer(c.getresponse())

    def get(self, path, **kw):
        return self.ask("GET", path, **kw)

    def post(self, path, body, **kw):
        return self.ask("POST", path, body, **kw)

    def chat(self, messages=MESSAGES, headers=None, **members):
        body = {"model": NAME, "messages": messages, "temperature": 0}
        body.update(members)
        return self.post(CHAT, body, headers=headers)

    def metric(self, name, model=None):
        """The sum over all labels, or those of one model."""
        found = [float(line.rsplit(" ", 1)[1]) for line in self.get("/metrics").body.decode().splitlines()
                 if line.split("{")[0].split(" ")[0] == name and (not model or 'gen_ai_request_model="%s"' % model in line)]
        return sum(found)

    def end(self, sent=signal.SIGTERM, seconds=30):
        """The exit status and what it said on stderr."""
        if self.process.poll() is None:
            self.process.send_signal(sent)
        try:
            said = self.process.communicate(timeout=seconds)[1]
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()
            raise
        return self.process.returncode, said


def official_client(test):
    """The Python that has the package openai: one named by the caller, or what tests/run.sh installs."""
    named = os.environ.get("DECAI_PEER_PYTHON", "build/peers/bin/python")
    peer = os.path.abspath(named) if os.path.exists(named) else sys.executable
    if subprocess.run([peer, "-c", "import openai"], capture_output=True).returncode:
        test.skipTest("the package openai is not installed")
    return peer


class Starting(unittest.TestCase):
    """Tests that start a server each, which must end in peace."""
    def setUp(self):
        if not available():
            self.skipTest("the tool was built without libmicrohttpd")
        self.server = None

    def tearDown(self):
        if self.server:
            self.assertEqual(self.server.end(), (0, ""))

    def start(self, *args, **kw):
        self.server = Server(*args, **kw)
        return self.server


class Served(unittest.TestCase):
    """Tests that share one server."""
    ARGS = ()

    @classmethod
    def setUpClass(cls):
        cls.server = Server(*cls.ARGS) if available() else None

    def setUp(self):
        if not self.server:
            self.skipTest("the tool was built without libmicrohttpd")

    @classmethod
    def tearDownClass(cls):
        if not cls.server:
            return
        code, said = cls.server.end()
        if code or said:
            raise AssertionError("it ended with %d, saying %r" % (code, said))
