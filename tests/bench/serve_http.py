#!/usr/bin/env python3
"""What HTTP costs `decai serve`, in processor time: of the whole server process, less
the engine's thread inside the library. One JSON object.

    serve_http.py [--requests N] [--streams N] [--tokens N] [--together N] [MODEL.gguf]

  request_us      one answer of one token, over connections that stay open: reading
                  HTTP and JSON, template, tokenizer, making the session, the answer
  token_us        one more token of a stream: an event, written to its connection
  token_us_N      the same where N streams run side by side

Bars: 1 ms a request, 20 us a streamed token. The engine computes in the same thread
(--threads 1), so that all of its time is counted. Processor time of a busy machine is
longer than of an idle one; instructions, with `perf stat -e instructions -p`, are not.
"""
import argparse
import json
import os
import socket
import subprocess
import sys
import threading

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
DECAI = os.path.join(ROOT, os.environ.get("BUILD", "build/release"), "decai")


class Server:
    def __init__(self, model):
        self.process = subprocess.Popen([DECAI, "serve", "--model", model, "--port", "0", "--threads", "1", "--name", "m"],
                                        stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline().rsplit(":", 1)[1])

    def connect(self):
        s = socket.create_connection(("127.0.0.1", self.port))
        return s, s.makefile("rb")

    def overhead(self):
        """Seconds so far: of the process, less the engine's."""
        s, f = self.connect()
        s.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        rows = [line.rsplit(" ", 1) for line in f.read().decode().splitlines() if " " in line]
        total = lambda name: sum(float(value) for row, value in rows if row.split("{")[0] == name)  # noqa: E731 - by model
        return total("process_cpu_seconds_total") - total("decai_engine_cpu_seconds_total")


def request(tokens, stream):
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "send 25 usdc to Maria"}], "temperature": 0,
                       "max_tokens": tokens, "ignore_eos": True, "stream": stream}).encode()
    return b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (
        len(body), body)


def ask(f, s, data):
    """One answer on a connection that stays open; its events, if it is a stream."""
    s.sendall(data)
    length, events = None, 0
    while (line := f.readline().strip()):
        if line.lower().startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    if length is not None:
        f.read(length)
        return 1
    while (size := int(f.readline(), 16)):
        events += f.read(size).count(b"data: ")
        f.readline()
    f.readline()
    return events


def run(server, count, tokens, stream, together=1):
    """Overhead of so many answers, in seconds; events that came."""
    data, came = request(tokens, stream), [0] * together
    before = server.overhead()

    def client(k):
        s, f = server.connect()
        for _ in range(count // together):
            came[k] += ask(f, s, data)
        s.close()
    threads = [threading.Thread(target=client, args=(k,)) for k in range(together)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return server.overhead() - before, sum(came)


def token_cost(server, streams, tokens, together):
    one, _ = run(server, streams, 1, True, together)
    all_, events = run(server, streams, tokens, True, together)
    return (all_ - one) * 1e6 / (streams // together * together * (tokens - 1)), events


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--requests", type=int, default=2000)
    p.add_argument("--streams", type=int, default=48)
    p.add_argument("--tokens", type=int, default=300)
    p.add_argument("--together", type=int, default=8)
    p.add_argument("model", nargs="?", default=os.path.join(ROOT, "examples/model/decai-actions.q8_0.gguf"))
    a = p.parse_args()
    server = Server(a.model)
    run(server, 50, 1, False)
    spent, _ = run(server, a.requests, 1, False)
    single, events = token_cost(server, a.streams, a.tokens, 1)
    many, _ = token_cost(server, a.streams, a.tokens, a.together)
    server.process.terminate()
    server.process.wait()
    print(json.dumps({"bench": "serve_http", "model": os.path.basename(a.model), "requests": a.requests, "request_us": round(spent * 1e6 / a.requests, 1),
                      "streams": a.streams, "tokens": a.tokens, "events": events, "token_us": round(single, 2),
                      "token_us_%d" % a.together: round(many, 2), "bar_request_us": 1000, "bar_token_us": 20,
                      "load": round(os.getloadavg()[0], 2)}))


if __name__ == "__main__":
    sys.exit(main())
