"""decai serve under load: readers that are slow, clients that go away, rubbish,
thousands of connections, the end in the middle of it all, and nothing left over."""
import json
import os
import random
import signal
import socket
import threading
import time
import unittest

import serving
from serving import ANSWER, CHAT, MESSAGES, NAME, Server

LONG = {"ignore_eos": True, "max_tokens": 400}


def raw(server, data=b"", timeout=30 * serving.PATIENCE):
    s = socket.create_connection(("127.0.0.1", server.port), timeout=timeout)
    if data:
        s.sendall(data)
    return s


def request(body, path=CHAT, headers=""):
    body = json.dumps(body).encode()
    return ("POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n%sContent-Length: %d\r\n\r\n"
            % (path, headers, len(body))).encode() + body


def chat_body(**members):
    return {"model": NAME, "messages": MESSAGES, "temperature": 0, **members}


def read_answer(s):
    """One HTTP answer, by its length or its chunks."""
    f = s.makefile("rb")
    status = int(f.readline().split()[1])
    headers = {}
    while (line := f.readline().strip()):
        name, value = line.decode().split(":", 1)
        headers[name.lower()] = value.strip()
    if "content-length" in headers:
        return status, f.read(int(headers["content-length"]))
    body = b""
    while (size := int(f.readline(), 16)):
        body += f.read(size)
        f.readline()
    f.readline()
    return status, body


def resident(server):
    with open("/proc/%d/statm" % server.process.pid) as f:
        return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def descriptors(server):
    return len(os.listdir("/proc/%d/fd" % server.process.pid))


def settle(what, want, seconds=10):
    """Wait until what() is want."""
    end = time.monotonic() + seconds * serving.PATIENCE
    while (value := what()) != want:
        if time.monotonic() > end:
            raise AssertionError("%r, not %r, after %d seconds" % (value, want, seconds))
        time.sleep(0.02)


class ServeLoad(serving.Starting):
    def test_a_slow_reader_stalls_nobody(self):
        server = self.start("--slots", "16")
        body = request(chat_body(stream=True, logprobs=True, top_logprobs=20, n=8, **LONG))
        want = len(server.chat(logprobs=True, **LONG).json["choices"][0]["logprobs"]["content"])
        slow = []
        for _ in range(3):
            s = socket.socket()
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            s.connect(("127.0.0.1", server.port))
            s.sendall(body)
            slow.append(s)
        for _ in range(5):                                # their answers come whole while those get stuck
            self.assertEqual(server.chat().json["choices"][0]["message"]["content"], ANSWER)
        settle(lambda: server.metric("decai_choices_running") + server.metric("decai_choices_waiting"), 0, 30)
        self.assertLess(resident(server), 300 << 20)
        for s in slow:
            events = read_answer(s)[1].decode().split("\n\n")
            self.assertEqual(events[-2], "data: [DONE]")
            chunks = [json.loads(e[6:])["choices"][0] for e in events[:-2]]
            for i in range(8):                            # nothing is missing, however it was held back
                mine = [c for c in chunks if c["index"] == i]
                self.assertEqual(mine[-1]["finish_reason"], "length")
                self.assertEqual(sum(len(c["logprobs"]["content"]) for c in mine), want)
            s.close()

    def test_who_goes_away_is_cancelled(self):
        server = self.start("--slots", "4")
        streams = [raw(server, request(chat_body(stream=True, n=4, **LONG))) for _ in range(8)]
        wholes = [raw(server, request(chat_body(n=16, **LONG))) for _ in range(8)]
        for s in streams:
            self.assertTrue(s.recv(100))
        for s in streams + wholes:
            s.close()
        settle(lambda: server.metric("decai_choices_running") + server.metric("decai_choices_waiting"), 0, 20)
        self.assertGreaterEqual(server.metric("decai_cancelled_total"), 9)
        self.assertLess(server.metric("decai_output_tokens_total"), 8 * 4 * 400 + 8 * 16 * 400)
        self.assertEqual(server.chat().json["choices"][0]["message"]["content"], ANSWER)

    def test_ten_thousand_malformed_requests(self):
        server = self.start("--body-max", "65536")
        rng = random.Random(20261129)
        paths = (CHAT, "/v1/completions", "/v1/responses", "/v1/embeddings", "/decai/verify", "/tokenize", "/detokenize", "/v1/models/" + NAME, "/nothing")
        fine = {CHAT: chat_body(max_tokens=1), "/v1/completions": {"model": NAME, "prompt": "x", "max_tokens": 1},
                "/v1/embeddings": {"model": NAME, "input": "x"}, "/v1/responses": {"model": NAME, "input": "x", "max_output_tokens": 1},
                "/decai/verify": {"receipt": "AAAA"}, "/tokenize": {"content": "x"}, "/detokenize": {"tokens": [1]}}
        rubbish = (None, True, -1, 0, 1e999, 2 ** 70, "", "x" * 300, "\u20ac\U0001f600", [], {}, [[]], [{}], {"a": None}, ["x", 1], [None])

        def body_of(path):
            body = dict(fine.get(path, {}))
            for _ in range(rng.randrange(4)):
                body[rng.choice(MEMBERS)] = rng.choice(rubbish)
            text = json.dumps(body).replace("Infinity", "1e999").encode()
            if text and rng.random() < 0.4:
                text = bytearray(text)
                for _ in range(rng.randrange(1, 5)):
                    at = rng.randrange(len(text) + 1)
                    text[at:at + rng.randrange(3)] = bytes(rng.randrange(256) for _ in range(rng.randrange(3)))
            return bytes(text)

        connection, statuses = None, {}
        for i in range(9000):
            path = rng.choice(paths)
            if connection is None:
                connection = server.connect()
            connection.request(rng.choice(("POST", "POST", "POST", "GET")), path, body_of(path),
                               {"Content-Type": "application/json"})
            answer = connection.getresponse()
            text = answer.read()
            statuses[answer.status] = statuses.get(answer.status, 0) + 1
            self.assertIn(answer.status, (200, 400, 404, 405, 413), text)
            if answer.status != 200:
                self.assertEqual(set(json.loads(text)["error"]), {"message", "type", "param", "code"})
            if answer.will_close:
                connection.close()
                connection = None
        if connection:
            connection.close()
        self.assertGreater(statuses[400], 3000)
        for i in range(1000):                             # not HTTP at all, or broken within it
            data = bytearray(request(chat_body(max_tokens=1), headers="X: y\r\n"))
            for _ in range(rng.randrange(1, 8)):
                data[rng.randrange(rng.choice((20, len(data))))] = rng.randrange(256)
            s = raw(server, bytes(data[:rng.randrange(1, len(data) + 1)]))
            s.close()
        self.assertEqual(server.chat().json["choices"][0]["message"]["content"], ANSWER)
        settle(lambda: server.metric("decai_choices_running") + server.metric("decai_choices_waiting"), 0)

    def test_a_thousand_idle_connections(self):
        server = self.start("--connections", "1100")
        idle = [raw(server) for _ in range(500)]
        idle += [raw(server, b"POST " + CHAT.encode() + b" HTTP/1.1\r\nHost: localhost\r\n") for _ in range(500)]
        settle(lambda: server.metric("decai_http_connections") >= 1000, True)
        before = time.monotonic()
        for _ in range(20):
            self.assertEqual(server.chat().json["choices"][0]["message"]["content"], ANSWER)
        self.assertLess(time.monotonic() - before, 10)
        self.assertLess(resident(server), 200 << 20)
        for s in idle:
            s.close()
        settle(lambda: server.metric("decai_http_connections") <= 2, True)

    def test_bodies_have_a_limit_together(self):
        server = self.start("--body-max", "1024")
        head = ("POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1024\r\n\r\n" % CHAT).encode()
        held = [raw(server, head + b" " * 1023) for _ in range(63)]
        # 65536 at most: 1087, 1024, 1023 are left for a body of 1024
        for more, status in ((0, 400), (63, 400), (1, 503)):
            held.append(raw(server, head + b" " * more))
            time.sleep(0.2)
            a = server.post(CHAT, b" " * 1024)
            self.assertEqual(a.status, status, more)
        self.assertEqual(a.error["code"], "overloaded")
        for s in held:
            s.close()
        settle(lambda: server.chat().json.get("object"), "chat.completion")

    def test_a_full_queue_refuses(self):
        server = self.start("--queue", "2", "--slots", "1")
        busy = [raw(server, request(chat_body(n=100, **LONG))) for _ in range(2)]
        settle(lambda: server.metric("decai_choices_running") + server.metric("decai_choices_waiting") > 120, True)
        a = server.chat()
        self.assertEqual((a.status, a.error["code"], a.headers["Retry-After"]), (429, "queue_full", "1"))
        for s in busy:
            s.close()
        settle(lambda: server.chat().status, 200)

    def test_sigterm_under_load_loses_no_answer(self):
        server = self.start("--slots", "8")
        results, lock = [], threading.Lock()

        def client(i):
            stream = bool(i % 2)
            while True:
                began = time.monotonic()
                try:
                    s = raw(server)
                except OSError:
                    return                                # the door is closed
                try:
                    s.sendall(request(chat_body(stream=stream, max_tokens=60, ignore_eos=True), headers="Connection: close\r\n"))
                    status, body = read_answer(s)
                    whole = body.endswith(b"data: [DONE]\n\n") if stream else b'"finish_reason":"length"' in body
                    result = (status, status == 503 or whole)
                except OSError as e:
                    # Only who came after the signal may be turned away without a word.
                    result = ("refused" if began > self.term else "lost", str(e))
                except (ValueError, IndexError):
                    result = ("cut", "")
                s.close()
                with lock:
                    results.append(result)
                if result[0] != 200:
                    return

        self.term = float("inf")
        threads = [threading.Thread(target=client, args=(i,)) for i in range(16)]
        for t in threads:
            t.start()
        time.sleep(0.7)
        settle(lambda: len(results) > 16, True, 60)
        self.term = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        for t in threads:
            t.join()
        self.assertEqual(server.process.wait(10), 0)
        kinds = {r[0] for r in results}
        self.assertLessEqual(kinds, {200, 503, "refused"}, results[-20:])
        self.assertGreater(sum(r[0] == 200 for r in results), 16)
        self.assertTrue(all(r[1] for r in results if r[0] in (200, 503)))

    def test_a_second_signal_and_a_short_drain_cut_off(self):
        for args, second in ((("--drain", "60"), True), (("--drain", "0"), False)):
            server = Server(*args)
            s = raw(server, request(chat_body(n=100, **LONG)))
            settle(lambda: server.metric("decai_choices_running") > 0, True)
            server.process.send_signal(signal.SIGTERM)
            if second:
                time.sleep(0.2)
                self.assertIsNone(server.process.poll())
                server.process.send_signal(signal.SIGTERM)
            self.assertEqual(server.process.wait(5), 0)
            # the last look at /metrics may still be there
            self.assertRegex(server.process.stderr.read(), "[12] answers are cut off")
            s.close()
            server.end()

    def test_the_same_bytes_alone_and_under_load(self):
        server = self.start("--slots", "6", threads=2)
        asks = [dict(seed=i, temperature=1.3, max_tokens=25 + i, top_p=0.95, ignore_eos=True,
                     messages=[{"role": "user", "content": "send %d usdc to Maria" % i}]) for i in range(12)]
        answer = lambda i: server.chat(**asks[i]).json["choices"][0]["message"]["content"]  # noqa: E731
        alone = [answer(i) for i in range(12)]
        busy = [None] * 36

        def client(k):
            busy[k] = answer(k % 12)
        threads = [threading.Thread(target=client, args=(k,)) for k in range(36)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual(busy, alone * 3)
        self.assertEqual(len(set(alone)), 12)

    def test_nothing_is_left_over(self):
        server = self.start()

        def some(n):
            for i in range(n):
                server.chat(max_tokens=4, n=2, logprobs=True, top_logprobs=2)
                server.chat(max_tokens=4, stream=True)
                server.chat(temperature=9)
                server.post("/v1/embeddings", {"model": NAME, "input": ["a", "b"]})
                raw(server, request(chat_body(stream=True, **LONG))).close()
            settle(lambda: server.metric("decai_choices_running") + server.metric("decai_choices_waiting"), 0)
        some(150)
        settle(lambda: server.metric("decai_http_connections"), 1)
        memory, files = resident(server), descriptors(server)
        some(600)
        settle(lambda: server.metric("decai_http_connections"), 1)
        settle(lambda: descriptors(server) <= files, True)
        if not serving.SANITIZED:                                 # those keep freed memory
            self.assertLess(resident(server) - memory, 2 << 20)


MEMBERS = ("model", "messages", "prompt", "input", "temperature", "top_p", "n", "stop", "seed", "logit_bias", "max_tokens", "stream",
           "stream_options", "logprobs", "top_logprobs", "response_format", "tools", "tool_choice", "user", "store", "encoding_format",
           "decai_receipt", "fly", "grammar", "presence_penalty", "frequency_penalty", "top_k", "min_p", "echo", "best_of", "metadata", "parallel_tool_calls", "text", "include", "instructions", "receipt", "opening", "content", "tokens", "add_special", "with_pieces")

if __name__ == "__main__":
    unittest.main()
