"""decai chat, as a person uses it: keys into a terminal, and lines into a pipe."""
import json
import os
import pty
import random
import re
import select
import signal
import subprocess
import tempfile
import time
import unittest

BUILD = os.environ.get("BUILD", "build/release")
CHAT = [os.path.join(BUILD, "decai"), "chat", "--threads", "1"]
TEMPLATE = "{% if messages[0].role == 'system' %}{{ messages[0].content }} {% endif %}{{ messages[-1].content }}<|sep|>"
ANSWER = '{"action":"transfer","amount":"25","token":"USDC","to":"Maria"}'


class Terminal:
    """The program in a terminal of 80 columns; send keys, wait for text."""

    def __init__(self, *args):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ.update(TERM="xterm", NO_COLOR="1")
            os.execv(CHAT[0], CHAT + list(args))
        self.seen, self.at = "", 0

    def wait_for(self, text, seconds=30):
        """What came up to the next `text`, itself included."""
        end = time.monotonic() + seconds
        while text not in self.plain()[self.at:]:
            if not select.select([self.fd], [], [], max(0, end - time.monotonic()))[0]:
                raise AssertionError("no %r in %r" % (text, self.plain()[self.at:]))
            try:
                self.seen += os.read(self.fd, 65536).decode("utf-8", "replace")
            except OSError:
                raise AssertionError("it ended; no %r in %r" % (text, self.plain()[self.at:])) from None
        start, self.at = self.at, self.plain().index(text, self.at) + len(text)
        return self.plain()[start:self.at]

    def plain(self):
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.seen).replace("\r", "")

    def keys(self, text):
        os.write(self.fd, text.encode())

    def end(self):
        """The exit status."""
        try:
            while select.select([self.fd], [], [], 30)[0] and os.read(self.fd, 65536):
                pass
        except OSError:
            pass
        status = os.waitpid(self.pid, 0)[1]
        os.close(self.fd)
        return os.waitstatus_to_exitcode(status)


class Chat(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.template = os.path.join(self.folder.name, "t.jinja")
        with open(self.template, "w", encoding="utf-8") as f:
            f.write(TEMPLATE)

    def tearDown(self):
        self.folder.cleanup()

    def piped(self, text, *args):
        r = subprocess.run(CHAT + ["--template", self.template, "--temperature", "0", *args], input=text.encode(), capture_output=True)
        return r.returncode, r.stdout.decode(), r.stderr.decode()

    def terminal(self, *args):
        t = Terminal("--template", self.template, *args)
        t.wait_for("Ctrl-D ends")
        t.wait_for("> ")
        return t

    def test_lines_from_a_pipe(self):
        code, out, err = self.piped("send 25 usdc to Maria\n\n/nonsense\n/stats\nsend 25 usdc to Maria")
        lines = out.splitlines()
        self.assertEqual((code, err), (0, ""))
        self.assertEqual([lines[0], lines[-1]], [ANSWER, ANSWER])
        self.assertIn("no command /nonsense", lines[1])
        self.assertRegex(lines[2], r"seed \d+; \d+ tokens read")

    def test_commands_change_what_is_sent(self):
        saved = os.path.join(self.folder.name, "saved.json")
        code, out, err = self.piped("hello\n/undo\n/undo\n/system please\nsend 25 usdc to Maria\n/retry\n/save %s\n/save %s\n/reset\n"
                                    "/save\n/quit\nnever read\n" % (saved, saved))
        self.assertEqual((code, err), (0, ""))
        self.assertEqual(out.count(ANSWER), 2)
        self.assertIn("nothing was said yet", out)
        self.assertIn("is it there already", out)
        self.assertIn("/save takes a FILE", out)
        with open(saved, encoding="utf-8") as f:
            messages = json.load(f)["messages"]
        self.assertEqual([m["role"] for m in messages], ["system", "user", "assistant"])
        self.assertEqual(messages[2]["content"], ANSWER)

    def test_the_oldest_leaves_a_full_context(self):
        with open(self.template, "w", encoding="utf-8") as f:
            f.write("{% for m in messages %}{{ m.content }}<|sep|>{% endfor %}")
        code, out, err = self.piped("send 25 usdc to Maria\n" * 5, "--context", "110", "--max-tokens", "16")
        self.assertEqual(code, 0)
        self.assertIn("the oldest exchange is left out", err)
        self.assertEqual(len(out.splitlines()), 5)

    def test_a_template_that_refuses(self):
        with open(self.template, "w", encoding="utf-8") as f:
            f.write("{{ raise_exception('no') }}")
        code, _, err = self.piped("hello\nagain\n")
        self.assertEqual(code, 0)
        self.assertEqual(err.count("the chat template refuses"), 2)

    def test_the_model_s_own_template(self):
        r = subprocess.run(CHAT + ["--temperature", "0"], input=b"send 25 usdc to Maria\n", capture_output=True)
        self.assertEqual((r.returncode, r.stdout.decode().strip(), r.stderr), (0, ANSWER, b""))

    def test_keys(self):
        t = self.terminal("--temperature", "0")
        t.keys("usdc to Maria")                 # then at the beginning, by words and characters
        t.keys("\x01send 255 \x1b[D\x1b[D\x1b[3~\r")
        t.wait_for(ANSWER)
        t.wait_for("> ")
        t.keys("rubbish\x15x\x7f\x1b[A\r")        # all erased, then from the history
        t.wait_for(ANSWER)
        t.wait_for("> ")
        t.keys("\x1b[200~send 25\nusdc\x1b[201~ to Maria \u6f22\u0301 gone\x17\x17\x0c\r")
        t.wait_for('"action"')
        t.wait_for("> ")
        t.keys("\x03")
        t.wait_for("Ctrl-C again")
        t.wait_for("> ")
        t.keys("\x04")
        self.assertEqual(t.end(), 0)

    def test_ctrl_c_stops_the_answer_and_not_the_program(self):
        t = self.terminal("--temperature", "100", "--seed", "1", "--backend", "scalar")
        stopped = 0
        for _ in range(20):                      # an answer may end by itself
            t.keys("talk\r")
            t.wait_for("talk\n")
            time.sleep(random.random() / 10)
            os.kill(t.pid, signal.SIGINT)
            t.keys("/stats\r")
            stopped += "(stopped)" in t.wait_for("tokens read")
            t.wait_for("> ")
        self.assertGreater(stopped, 0)
        t.keys("\x03")
        t.wait_for("Ctrl-C again")
        t.keys("\x03")
        self.assertEqual(t.end(), 0)

    def test_history_is_kept(self):
        path = os.path.join(self.folder.name, "history")
        t = self.terminal("--temperature", "0", "--history", path)
        t.keys("one\\two\x1b\rthree\r")
        t.wait_for("> ")
        t.keys("/quit\r")
        self.assertEqual(t.end(), 0)
        with open(path, encoding="utf-8") as f:
            self.assertEqual(f.read(), "one\\\\two\\nthree\n/quit\n")
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
        t = self.terminal("--temperature", "0", "--history", path)
        t.keys("\x1b[A\x1b[A")
        t.wait_for("three")
        t.keys("\x03\x03")
        self.assertEqual(t.end(), 0)

    def test_ctrl_c_ends_it_while_a_pipe_is_read(self):
        p = subprocess.Popen(CHAT + ["--template", self.template], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        p.stdin.write(b"/help\n")
        p.stdin.flush()
        self.assertIn(b"/system", p.stdout.readline())
        p.send_signal(signal.SIGINT)
        self.assertEqual(p.wait(30), 130)
        p.communicate()

    def test_usage(self):
        for args in (["a.gguf", "b"], ["--top-p", "2"], ["--frobnicate"]):
            r = subprocess.run(CHAT + args, stdin=subprocess.DEVNULL, capture_output=True)
            self.assertEqual(r.returncode, 2, args)


if __name__ == "__main__":
    unittest.main()
