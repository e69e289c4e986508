#!/usr/bin/env python3
"""What hostile clients cost the others: the 99th percentile of a steady reader alone, and while each attack goes on.

The gateway has one front thread and a core to itself where there are two; the reader and, at the lowest priority, the attackers share the
other. The reader asks for an agent out of the cache at a constant rate, every tenth time on a new connection; a late question counts
from when it should have been asked. Each attack is measured between two rounds without it, and the figure is the ratio of its p99 to the larger of
theirs. The exit code does not depend on the figures.
"""
import argparse
import http.client
import json
import multiprocessing
import os
import resource
import socket
import struct
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../integration"))
OUT = os.environ.get("OUT", "build/release")
os.environ.setdefault("CCTGATE", os.path.abspath(os.path.join(OUT, "cctgate")))
os.environ.setdefault("CCTSIM", os.path.abspath(os.path.join(OUT, "cctsim")))
import harness  # noqa: E402
import websocket  # noqa: E402

PATH = "/v1/agents/2001"
HEAD = b"GET /v1/agents/2001 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer supervisor-token\r\n"
RATE = 200
TARGET = 2.0


def connect(port):
    return socket.create_connection(("127.0.0.1", port), timeout=10)


def again(attack):
    """The attack over and over: whoever is thrown out comes back."""
    def run(port):
        while True:
            try:
                attack(port)
            except OSError:
                pass
    return run


def slow_heads(port):
    held = [connect(port) for _ in range(500)]
    for byte in HEAD * 100:
        for n, sock in enumerate(held):
            try:
                sock.send(bytes([byte]))
            except OSError:
                sock.close()
                held[n] = connect(port)
        time.sleep(0.5)


def silent(port):
    held = []
    for n in range(10000):
        try:
            held.append(connect(port))
        except OSError:
            time.sleep(0.01)
    time.sleep(3600)


def endless(data, piece):
    def attack(port):
        with connect(port) as sock:
            sock.sendall(data)
            while True:
                sock.sendall(piece)
    return again(attack)


def never_reading(port):
    held = []
    for _ in range(50):
        sock = connect(port)
        sock.setblocking(False)
        held.append(sock)
    while True:
        for n, sock in enumerate(held):
            try:
                sock.send(b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n")
            except BlockingIOError:
                pass
            except OSError:
                sock.close()
                held[n] = connect(port)
                held[n].setblocking(False)
        time.sleep(0.05)


def pings(port):
    with websocket.WebSocket(port) as ws:
        flood = struct.pack("!BBI", 0x89, 0x80, 0) * 1000
        while True:
            ws.send_raw(flood)


def in_advance(port):
    with connect(port) as sock:
        sock.sendall((HEAD + b"\r\n") * 1000)
        while sock.recv(65536):
            pass


ATTACKS = {
    "slow heads": again(slow_heads),
    "10,000 silent connections": silent,
    "endless heads": endless(HEAD, b"X-Name: " + b"y" * 4000 + b"\r\n"),
    "endless bodies": endless(b"POST /v1/services/UserService/GetAgents HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
                              b"1000\r\n" + b" " * 4096 + b"\r\n"),
    "never reading": again(never_reading),
    "ping floods": again(pings),
    "1,000 requests at once": again(in_advance),
}


def attacker(attack, port, core):
    os.nice(19)
    if core is not None:
        os.sched_setaffinity(0, {core})
    attack(port)


def ask(port, connection):
    connection.request("GET", PATH, headers=harness.bearer("supervisor"))
    answer = connection.getresponse()
    answer.read()
    if answer.status != 200:
        raise OSError("status %d" % answer.status)


def read_steadily(port, seconds):
    """Latencies in ms, and how many questions failed."""
    kept, latencies, failed = http.client.HTTPConnection("127.0.0.1", port, timeout=10), [], 0
    begin = time.monotonic()
    for n in range(int(seconds * RATE)):
        due = begin + n / RATE
        time.sleep(max(0.0, due - time.monotonic()))
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10) if n % 10 == 9 else kept
        try:
            ask(port, connection)
            latencies.append((time.monotonic() - due) * 1000)
        except (OSError, http.client.HTTPException):
            failed += 1
            connection.close()
        if connection is not kept:
            connection.close()
    kept.close()
    return latencies, failed


def p99(latencies):
    return sorted(latencies)[max(0, int(len(latencies) * 0.99) - 1)] if latencies else float("inf")


def measure(port, attack, seconds, core):
    process = None
    if attack is not None:
        process = multiprocessing.Process(target=attacker, args=(attack, port, core), daemon=True)
        process.start()
        time.sleep(2)
    try:
        return read_steadily(port, seconds)
    finally:
        if process is not None:
            assert process.is_alive(), "the attacker gave up"
            process.kill()
            process.join()


def main():
    tempfile.tempdir = None  # on a disk, as in use
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--seconds", type=float, default=10, help="of each round")
    parser.add_argument("--only", help="the attacks whose name holds this")
    options = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    core = 1 if (os.cpu_count() or 1) > 1 else None
    sim = harness.Simulator()
    gate = harness.Gateway(sim, threads=1)
    results = []
    try:
        if core is not None:
            os.sched_setaffinity(gate.child.process.pid, {0})
            for thread in os.listdir("/proc/%d/task" % gate.child.process.pid):
                os.sched_setaffinity(int(thread), {0})
            os.sched_setaffinity(0, {core})
        gate.get(PATH)
        print("%-28s %10s %10s %8s %8s" % ("attack", "p99 alone", "p99 under", "ratio", "failed"))
        before = p99(measure(gate.port, None, options.seconds, core)[0])
        for name, attack in ATTACKS.items():
            if options.only and options.only not in name:
                continue
            latencies, failed = measure(gate.port, attack, options.seconds, core)
            after = p99(measure(gate.port, None, options.seconds, core)[0])
            alone, under = max(before, after), p99(latencies)
            results.append({"attack": name, "p99AloneMs": alone, "p99UnderMs": under, "ratio": under / alone, "failed": failed})
            print("%-28s %7.2f ms %7.2f ms %8.2f %8d%s" % (name, alone, under, under / alone, failed,
                                                         "" if under / alone <= TARGET else "  above %.1f" % TARGET), flush=True)
            before = after
    finally:
        gate.stop()
        sim.stop()
    with open(os.path.join(OUT, "bench_hostile.json"), "w") as file:
        json.dump(results, file, indent=1)


if __name__ == "__main__":
    main()
