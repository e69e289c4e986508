#!/usr/bin/env python3
"""Cached reads of cctgate against nginx and Varnish, the same bytes on the same machine in one run.

Who competes, each with one worker or front thread, all pinned to one core (the load to another), on 127.0.0.1:
  cctgate       GET /v1/agents/2001 with a bearer token, out of LMDB; the simulator stands behind it and is not asked
  nginx return  `return 200 '<body>'`: nginx at its cheapest; `return 304` for the second question
  nginx cache   proxy_cache in front of an origin that is asked once
  varnish       a hit
  floor         one read and one write of the same bytes by a program that looks at nothing: what the kernel alone takes
The body is what cctgate answers; the others add the same response headers. Two questions: GET (200) and GET with
If-None-Match (304); GET over few and over many connections, since what a thread for each of them costs depends on their number. No access
logs.

Each round asks everybody in turn, in another order: wrk as fast as it goes for throughput and CPU per request (utime and stime of all
processes and threads of the server over the requests answered), then, at half of each one's own throughput, h2load at a
constant rate for the 99th percentile. What the machine gives changes from second to second, so the rounds are short and many, and a
ratio is taken of what was measured in the same round. Medians of the rounds are what counts. The exit code does not depend on the figures.
"""
import argparse
import collections
import contextlib
import hashlib
import http.client
import json
import os
import pwd
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

OUT = os.environ.get("OUT", "build/release")
PATH = "/v1/agents/2001"
TOKEN = "bench-token-of-the-usual-length-of-64-characters-0123456789abcdef"
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
START_SECONDS = 30
QUESTIONS = ("GET", "304")
Load = collections.namedtuple("Load", "question connections is_paced")
LOADS = (Load("GET", 32, True), Load("GET", 128, False), Load("304", 32, True))
# What a saturated server gets of its core when nothing else runs
QUIET = 0.9
# CPU per request of cctgate over that of the other one
TARGETS = {"nginx return": 1.15, "nginx cache": 0.55, "varnish": 0.35}


def pinned(core, command):
    return ["taskset", "-c", str(core)] + command if os.cpu_count() > 1 else command


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def ask(port, headers):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", PATH, headers=headers)
        answer = connection.getresponse()
        return answer.status, dict((k.lower(), v) for k, v in answer.getheaders()), answer.read()
    finally:
        connection.close()


def until(condition, what):
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        with contextlib.suppress(OSError, http.client.HTTPException):
            if condition():
                return
        time.sleep(0.05)
    sys.exit("bench: never happened: " + what)


def ticks_of_tree(pid):
    """CPU ticks of a process, its threads and its living children."""
    with open("/proc/%d/stat" % pid) as file:
        fields = file.read().rsplit(")", 1)[1].split()
    total = int(fields[11]) + int(fields[12])
    for task in os.listdir("/proc/%d/task" % pid):
        with open("/proc/%d/task/%s/children" % (pid, task)) as file:
            total += sum(ticks_of_tree(int(child)) for child in file.read().split())
    return total


class Server:
    """A contender. `ports` tells where to ask which question."""

    def __init__(self, name, command, ports, directory, core=0):
        self.name, self.ports = name, ports
        self.log = open(os.path.join(directory, name.replace(" ", "-") + ".log"), "w")
        self.process = subprocess.Popen(pinned(core, command), stdin=subprocess.DEVNULL,
                                        stdout=self.log, stderr=self.log)
        until(self._answers, "%s answers; see %s" % (name, self.log.name))

    def _answers(self):
        if self.process.poll() is not None:
            sys.exit("bench: %s ended:\n%s" % (self.name, open(self.log.name).read()[-2000:]))
        return all(socket.create_connection(("127.0.0.1", p), 1).close() is None for p in self.ports.values())

    def ticks(self):
        return ticks_of_tree(self.process.pid)

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()


# ---- who competes ----

def start_cctgate(directory):
    """The simulator and the gateway; only the gateway competes."""
    sim_log = open(os.path.join(directory, "cctsim.log"), "w")
    simulator = subprocess.Popen([OUT + "/cctsim", "--port", "0", "--admin-port", "0", "--agents", "20", "--contract",
                                  "conf/contract"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=sim_log, text=True)
    sim_log.close()
    ready = json.loads(simulator.stdout.readline() or sys.exit("bench: the simulator did not start"))
    port = free_port()
    hour = 3600000
    with open(os.path.join(directory, "password"), "w") as file:
        file.write("secret\n")
    os.chmod(file.name, 0o600)
    config = {
        "listen": [{"address": "127.0.0.1", "port": port}],
        "threads": 1,
        "contract": os.path.abspath("conf/contract"),
        "data": {"directory": "data"},
        "upstream": {"endpoints": [{"name": "campus", "url": "http://127.0.0.1:%d/SOAOICCT/services" % ready["port"]}]},
        "sessions": [{"user": "agent2001", "domain": "CC", "password": {"file": "password"}, "agent": "2001"}],
        "tokens": [{"application": "bench", "sha256": hashlib.sha256(TOKEN.encode()).hexdigest(), "users": ["agent2001"],
                    "roles": ["viewer"]}],
        "cache": {"ttlMs": {kind: hour for kind in ("agent", "terminal", "address", "user", "call", "capabilities")}},
        "log": {"level": "warning", "format": "json", "access": False},
    }
    path = os.path.join(directory, "cctgate.json")
    with open(path, "w") as file:
        json.dump(config, file)
    gate = Server("cctgate", [OUT + "/cctgate", "--config", path], {q: port for q in QUESTIONS}, directory)
    headers = {"Authorization": "Bearer " + TOKEN}
    until(lambda: ask(port, headers)[0] == 200 and "hit" in ask(port, headers)[1].get("cache-status", ""), "a cached agent")
    return simulator, ready["adminPort"], gate


def quoted(text):
    if "$" in text or "\n" in text:
        sys.exit("bench: this body or header cannot stand in an nginx configuration: " + text)
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def nginx_headers(fields):
    return "\n".join("add_header %s %s;" % (k, quoted(v)) for k, v in fields.items())


def start_nginx(name, directory, http_block, ports):
    own = os.path.join(directory, name.replace(" ", "-"))
    os.makedirs(own)
    user = "user root;" if os.getuid() == 0 else ""
    config = os.path.join(own, "nginx.conf")
    temporary = "".join("%s_temp_path %s/%s;\n" % (kind, own, kind)
                        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    with open(config, "w") as file:
        file.write("""%s daemon off; worker_processes 1; pid %s/pid; error_log stderr warn;
events { worker_connections 1024; }
http {
    access_log off; sendfile on; tcp_nodelay on; keepalive_timeout 600; keepalive_requests 1000000000; etag off;
    default_type application/json;
    %s
    %s
}
""" % (user, own, temporary, http_block))
    return Server(name, ["nginx", "-p", own, "-c", config, "-e", "stderr"], ports, directory)


def start_origin(directory, body, fields):
    port = free_port()
    block = "server { listen 127.0.0.1:%d; location / { %s return 200 %s; } }" % (port, nginx_headers(fields), quoted(body))
    return start_nginx("origin", directory, block, {"GET": port}), port


def start_nginx_return(directory, body, fields):
    ports = {q: free_port() for q in QUESTIONS}
    answers = {"GET": "return 200 %s;" % quoted(body), "304": "return 304;"}
    block = "".join("server { listen 127.0.0.1:%d; location / { %s %s } }\n" % (ports[q], nginx_headers(fields), answers[q])
                    for q in QUESTIONS)
    return start_nginx("nginx return", directory, block, ports)


def start_nginx_cache(directory, origin):
    port = free_port()
    block = """proxy_cache_path %s/cache keys_zone=bench:1m inactive=1h;
    server { listen 127.0.0.1:%d; location / {
        proxy_pass http://127.0.0.1:%d; proxy_cache bench; proxy_cache_valid 200 1h; proxy_ignore_headers Cache-Control Expires;
    } }""" % (directory, port, origin)
    return start_nginx("nginx cache", directory, block, {q: port for q in QUESTIONS})


def start_varnish(directory, origin):
    port = free_port()
    own = os.path.join(directory, "varnish")
    os.makedirs(own)
    vcl = os.path.join(directory, "bench.vcl")
    with open(vcl, "w") as file:
        file.write("""vcl 4.1;
backend default { .host = "127.0.0.1"; .port = "%d"; }
sub vcl_recv { return (hash); }
sub vcl_backend_response { set beresp.ttl = 1h; return (deliver); }
""" % origin)
    command = ["varnishd", "-F", "-n", own, "-a", "127.0.0.1:%d" % port, "-f", vcl, "-s", "malloc,64m", "-p", "thread_pools=1"]
    if os.getuid() == 0:
        with contextlib.suppress(KeyError):
            pwd.getpwnam("vcache")
            os.chmod(directory, 0o711)
        command[1:1] = ["-j", "none"]
    return Server("varnish", command, {q: port for q in QUESTIONS}, directory)


def start_floor(directory, gate, body):
    port, path, raw = free_port(), os.path.join(directory, "answer"), b""
    with socket.create_connection(("127.0.0.1", gate.ports["GET"]), 10) as sock:
        sock.sendall(("GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer %s\r\n\r\n" % (PATH, TOKEN)).encode())
        while not raw.endswith(b"\r\n\r\n" + body):
            raw += sock.recv(65536) or sys.exit("bench: an answer breaks off")
    with open(path, "wb") as file:
        file.write(raw)
    return Server("floor", [OUT + "/tests/bench/bench_floor", str(port), path], {"GET": port}, directory)


# ---- how it is measured ----

def headers_of(question, etag):
    fields = {"Authorization": "Bearer " + TOKEN}
    if question == "304":
        fields["If-None-Match"] = etag
    return fields


def check_answers(servers, etag, body):
    """Nobody is measured who does not answer the same. Also what warms the caches."""
    for server in servers:
        for question in server.ports:
            status, fields, got = ask(server.ports[question], headers_of(question, etag))
            expected = (200, body) if question == "GET" else (304, b"")
            if (status, got) != expected or fields.get("etag") != etag:
                sys.exit("bench: %s answers %s with %d %r %r" % (server.name, question, status, fields, got[:80]))


def option_pairs(fields):
    return [part for k, v in fields.items() for part in ("-H", "%s: %s" % (k, v))]


def measured(server, command, seconds):
    """Output of a load generator and the CPU seconds that the server spent meanwhile."""
    before = server.ticks()
    done = subprocess.run(pinned(min(1, os.cpu_count() - 1), command), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          timeout=seconds + 30, check=False)
    cpu = (server.ticks() - before) / TICKS_PER_SECOND
    if done.returncode != 0:
        sys.exit("bench: %s failed: %s" % (command[0], done.stderr[-1000:]))
    return done.stdout, cpu


def saturate(server, load, etag, seconds):
    url = "http://127.0.0.1:%d%s" % (server.ports[load.question], PATH)
    command = ["wrk", "-t", "1", "-c", str(load.connections), "-d", "%ds" % seconds, "-s", "tests/bench/record.lua"]
    output, cpu = measured(server, command + option_pairs(headers_of(load.question, etag)) + [url], seconds)
    figures = json.loads(output.strip().splitlines()[-1])
    if figures["bad"]:
        sys.exit("bench: %s: %d bad answers" % (server.name, figures["bad"]))
    return {"perSecond": figures["requests"] / figures["seconds"], "cpuUs": cpu * 1e6 / figures["requests"],
            "busy": cpu / figures["seconds"]}


def constant_rate(server, load, etag, rate, seconds, directory):
    """h2load keeps the rate for each connection by itself; its log has one line per request: start, status, microseconds."""
    log = os.path.join(directory, "h2load.log")
    per_connection = max(1, round(rate / load.connections))
    url = "http://127.0.0.1:%d%s" % (server.ports[load.question], PATH)
    command = ["h2load", "--h1", "-t", "1", "-c", str(load.connections), "-m", "1", "--rps", str(per_connection), "-n",
               str(per_connection * load.connections * seconds), "--log-file", log]
    output, cpu = measured(server, command + option_pairs(headers_of(load.question, etag)) + [url], seconds)
    with open(log) as file:
        times = sorted(int(line.split("\t")[2]) for line in file)
    os.unlink(log)
    reached = re.search(r"([0-9.]+) req/s", output)
    return {"rate": float(reached.group(1)), "cpuUs": cpu * 1e6 / len(times), "p50Us": times[len(times) // 2],
            "p99Us": times[len(times) * 99 // 100]}


def medians(samples):
    return {key: statistics.median(s[key] for s in samples) for key in samples[0]}


def in_turn(servers, rounds):
    for number in range(rounds):
        shift = number % len(servers)
        for server in servers[shift:] + servers[:shift]:
            yield server


def run_load(servers, load, etag, options, directory):
    """What each server did that knows the question, and each of its rounds."""
    asked = [s for s in servers if load.question in s.ports]
    full = {s.name: [] for s in asked}
    half = {s.name: [] for s in asked}
    for server in in_turn(asked, options.rounds):
        full[server.name].append(saturate(server, load, etag, options.seconds))
    for server in in_turn(asked, options.paced_rounds if load.is_paced else 0):
        rate = medians(full[server.name])["perSecond"] / 2
        half[server.name].append(constant_rate(server, load, etag, rate, options.paced_seconds, directory))
    return {name: {"saturated": medians(full[name]), "halfLoad": medians(half[name]) if half[name] else None,
                   "rounds": {"saturated": full[name], "halfLoad": half[name]}} for name in full}


# ---- what is said ----

def ratios(by_name, one, other):
    """CPU per request of one over the other's in the same round: median and quartiles."""
    found = sorted(a["cpuUs"] / b["cpuUs"] for a, b in zip(*(by_name[n]["rounds"]["saturated"] for n in (one, other))))
    return statistics.median(found), found[len(found) // 4], found[len(found) * 3 // 4]


def verdicts(results):
    found = []
    for load, by_name in results:
        for name, limit in TARGETS.items():
            ratio, *quartiles = ratios(by_name, "cctgate", name)
            found.append({"question": load.question, "connections": load.connections, "against": name, "ratio": round(ratio, 3),
                          "quartiles": [round(q, 3) for q in quartiles], "limit": limit, "holds": ratio <= limit,
                          "floor": round(ratios(by_name, "floor", name)[0], 3) if "floor" in by_name else None})
    return found


def print_table(load, by_name):
    print("\n== %s of a cached agent, %d connections, medians" % (load.question, load.connections))
    print("  %-13s %11s %10s %6s" % ("", "CPU us/req", "req/s", "busy"), end="")
    print(" | %12s %9s %9s %11s" % ("at half load", "p50 us", "p99 us", "CPU us/req") if load.is_paced else "")
    for name, figures in by_name.items():
        full, half = figures["saturated"], figures["halfLoad"]
        print("  %-13s %11.1f %10.0f %5.0f%%" % (name, full["cpuUs"], full["perSecond"], full["busy"] * 100), end="")
        print(" | %12.0f %9.0f %9.0f %11.1f" % (half["rate"], half["p50Us"], half["p99Us"], half["cpuUs"]) if half else "")


def print_verdicts(results, found):
    # The load generator keeps no more than a part of the floor busy
    busy = min(figures["saturated"]["busy"] for _, by_name in results for name, figures in by_name.items() if name != "floor")
    if busy < QUIET:
        print("\nNot a quiet machine: a saturated server got %.0f%% of its core. Other programs ran; measure again." % (busy * 100))
    print("\n== CPU per request of cctgate over the others', round by round: median (quartiles)")
    for v in found:
        print("  %-3s over %3d connections, against %-13s %.2f (%.2f to %.2f), at most %.2f is wanted: %s%s" % (
            v["question"], v["connections"], v["against"], v["ratio"], *v["quartiles"], v["limit"],
            "holds" if v["holds"] else "DOES NOT HOLD", "" if v["floor"] is None else "; the floor %.2f" % v["floor"]))


def version(command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return (done.stdout.splitlines() or ["?"])[0]


def upstream_calls(admin_port):
    connection = http.client.HTTPConnection("127.0.0.1", admin_port, timeout=10)
    connection.request("GET", "/counters")
    operations = json.loads(connection.getresponse().read())["operations"]
    connection.close()
    return sum(operations.values())


def compare(options, directory, stack):
    simulator, admin, gate = start_cctgate(directory)
    stack.callback(lambda: (simulator.terminate(), simulator.wait(15), simulator.stdout.close()))
    stack.callback(gate.stop)
    _, fields, body = ask(gate.ports["GET"], headers_of("GET", None))
    etag = fields["etag"]
    same = {k: v for k, v in fields.items()
            if k not in ("date", "connection", "content-length", "content-type", "server", "transfer-encoding")}
    print("\n%d bytes, headers of cctgate: %s" % (len(body), ", ".join(sorted(fields))))

    origin, origin_port = start_origin(directory, body.decode(), same)
    stack.callback(origin.stop)
    servers = [gate]
    for start in (lambda: start_nginx_return(directory, body.decode(), same), lambda: start_nginx_cache(directory, origin_port),
                  lambda: start_varnish(directory, origin_port), lambda: start_floor(directory, gate, body)):
        servers.append(start())
        stack.callback(servers[-1].stop)
    check_answers(servers, etag, body)
    check_answers(servers, etag, body)
    calls, origin_ticks = upstream_calls(admin), origin.ticks()
    results = [(load, run_load(servers, load, etag, options, directory)) for load in LOADS]
    print("asked upstream meanwhile: %d calls by cctgate, %.2f s of CPU by the others' origin" % (
        upstream_calls(admin) - calls, (origin.ticks() - origin_ticks) / TICKS_PER_SECOND))
    return results


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15, help="as fast as it goes")
    parser.add_argument("--seconds", type=int, default=1, help="of each measurement of these")
    parser.add_argument("--paced-rounds", type=int, default=5, help="at half load")
    parser.add_argument("--paced-seconds", type=int, default=2, help="of each measurement of these")
    options = parser.parse_args()
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    for tool in ("nginx", "varnishd", "wrk", "h2load", OUT + "/cctgate", OUT + "/cctsim", OUT + "/tests/bench/bench_floor"):
        if not shutil.which(tool):
            sys.exit("bench: %s is missing" % tool)
    versions = [version(c) for c in (["nginx", "-v"], ["varnishd", "-V"], ["h2load", "--version"])]
    print("\n== against " + "; ".join(versions))
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="cctgate-bench-"))
        results = compare(options, directory, stack)
    found = verdicts(results)
    for load, by_name in results:
        print_table(load, by_name)
    print_verdicts(results, found)
    with open(OUT + "/bench.json", "w") as file:
        json.dump({"versions": versions, "cores": os.cpu_count(), "targets": found,
                   "results": [{**load._asdict(), "servers": by_name} for load, by_name in results]}, file, indent=1)
    print("\nall of it: %s/bench.json" % OUT)


if __name__ == "__main__":
    main()
