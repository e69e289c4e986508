"""TLS: what is spoken, certificates that change, certificates of clients, the consumer's endpoint."""
import hashlib
import http.client
import json
import os
import pathlib
import shutil
import signal
import ssl
import subprocess
import tempfile
import unittest

import harness
from harness import Gateway, Simulator, bearer, eventually
from websocket import Refused, WebSocket

AGENT = "/v1/agents/2001"
HUSHED = {"check": True, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


class Authority:
    """A CA in a directory of its own; `issue` makes name.pem and name.key there."""

    def __init__(self, name="authority"):
        self.directory = tempfile.mkdtemp(prefix="cctgate-test-")
        self.file = self.path("ca.pem")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout",
                        self.path("ca.key"), "-out", self.file, "-days", "1", "-subj", "/CN=" + name], **HUSHED)

    def path(self, name):
        return os.path.join(self.directory, name)

    def issue(self, name, subject):
        subprocess.run(["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout",
                        self.path(name + ".key"), "-out", self.path(name + ".csr"), "-subj", subject], **HUSHED)
        subprocess.run(["openssl", "x509", "-req", "-in", self.path(name + ".csr"), "-CA", self.file, "-CAkey", self.path("ca.key"),
                        "-CAcreateserial", "-days", "1", "-out", self.path(name + ".pem")], **HUSHED)
        return {"certificateFile": self.path(name + ".pem"), "keyFile": self.path(name + ".key")}

    def sha256(self, name):
        with open(self.path(name + ".pem")) as file:
            return hashlib.sha256(ssl.PEM_cert_to_DER_cert(file.read())).hexdigest()

    def remove(self):
        shutil.rmtree(self.directory, ignore_errors=True)


def context(files=None):
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname, made.verify_mode = False, ssl.CERT_NONE
    if files:
        made.load_cert_chain(files["certificateFile"], files["keyFile"])
    return made


def connect(port, made=None):
    return http.client.HTTPSConnection("127.0.0.1", port, timeout=harness.BOUND, context=made or context())


def ask(connection, path=AGENT, who="supervisor", method="GET", headers=None):
    connection.request(method, path, headers=dict(bearer(who), **(headers or {})))
    answer = connection.getresponse()
    return harness.Response(answer.status, answer.getheaders(), answer.read())


def once(port, made=None, *args):
    connection = connect(port, made)
    try:
        return ask(connection, *args)
    finally:
        connection.close()


class Tls(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.authority, cls.other = Authority(), Authority("other")
        cls.server = cls.authority.issue("server", "/CN=localhost")
        cls.operator = cls.authority.issue("operator", "/O=Example/CN=operator")
        cls.clerk = cls.authority.issue("clerk", "/O=Example/CN=clerk")
        cls.stranger = cls.other.issue("stranger", "/O=Example/CN=operator")
        ca = cls.authority.file
        cls.sim = Simulator()
        cls.gate = Gateway(cls.sim, listen=[
            {"address": "127.0.0.1", "port": 0},
            {"address": "127.0.0.1", "port": 0, "tls": cls.server},
            {"address": "127.0.0.1", "port": 0, "tls": dict(cls.server, clientCaFile=ca)},
            {"address": "127.0.0.1", "port": 0, "tls": dict(cls.server, clientCaFile=ca, clientCertificate="optional")},
        ], consumer={"address": "127.0.0.1", "port": 0, "tls": dict(cls.server, clientCaFile=ca)})
        for token in cls.gate.config["tokens"]:
            if token["application"] == "operator":
                token["clientCertificate"] = "CN=operator,O=Example"
            if token["application"] == "agent2001":
                token["clientCertificate"] = cls.authority.sha256("clerk").upper()
        cls.gate.write()
        cls.reload("reloaded")
        cls.ports = [line["port"] for line in cls.gate.child.log("listening")]
        _, cls.plain, cls.required, cls.optional, cls.consumer = cls.ports

    @classmethod
    def tearDownClass(cls):
        cls.gate.stop()
        cls.sim.stop()
        cls.authority.remove()
        cls.other.remove()

    @classmethod
    def reload(cls, event):
        done = len(cls.gate.child.log(event))
        cls.gate.child.process.send_signal(signal.SIGHUP)
        eventually(lambda: len(cls.gate.child.log(event)) > done, event)

    def assert_no_handshake(self, port, made):
        with self.assertRaises((ssl.SSLError, ConnectionError, http.client.RemoteDisconnected)):
            once(port, made)

    def test_versions(self):
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            made = context()
            made.minimum_version = made.maximum_version = version
            self.assertEqual(once(self.plain, made).status, 200)
        made = context()
        made.set_ciphers("ALL:@SECLEVEL=0")
        made.minimum_version, made.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
        self.assert_no_handshake(self.plain, made)

    def test_ciphers(self):
        for ciphers, good in (("ECDHE-ECDSA-AES128-GCM-SHA256", True), ("ECDHE-ECDSA-CHACHA20-POLY1305", True),
                              ("ECDHE-ECDSA-AES128-SHA256", False), ("ECDHE-ECDSA-AES256-SHA", False), ("AES128-GCM-SHA256", False)):
            with self.subTest(ciphers):
                made = context()
                made.maximum_version = ssl.TLSVersion.TLSv1_2
                made.set_ciphers(ciphers)
                if good:
                    self.assertEqual(once(self.plain, made).status, 200)
                else:
                    self.assert_no_handshake(self.plain, made)

    def test_http2_is_shut(self):
        made = context()
        made.set_alpn_protocols(["h2", "http/1.1"])
        connection = connect(self.plain, made)
        connection.connect()
        self.assertIsNone(connection.sock.selected_alpn_protocol())
        self.assertEqual(ask(connection).status, 200)
        connection.close()

    def shown(self, connection=None):
        own = connection or connect(self.plain)
        own.connect()
        sha256 = hashlib.sha256(own.sock.getpeercert(binary_form=True)).hexdigest()
        if connection is None:
            own.close()
        return sha256

    def test_certificates_change_without_a_restart(self):
        held = connect(self.plain)
        first = self.shown(held)
        self.assertEqual(ask(held).status, 200)
        renewed = self.authority.issue("renewed", "/CN=renewed")
        kept = {name: pathlib.Path(self.server[name]).read_text() for name in self.server}
        try:
            for name in self.server:
                shutil.copy(renewed[name], self.server[name])
            self.reload("reloaded")
            eventually(lambda: self.shown() == self.authority.sha256("renewed"), "the new one is shown")
            self.assertNotEqual(first, self.authority.sha256("renewed"))
            self.assertEqual(ask(held).status, 200)  # on the connection that was there before
            with open(self.server["keyFile"], "w") as file:
                file.write(kept["keyFile"])  # which is not the certificate's
            self.reload("reloadRefused")
            self.assertEqual(self.shown(), self.authority.sha256("renewed"))
            self.assertEqual(ask(held).status, 200)
        finally:
            for name, text in kept.items():
                with open(self.server[name], "w") as file:
                    file.write(text)
            self.reload("reloaded")
            held.close()

    def test_certificates_of_clients(self):
        self.assertEqual(once(self.required, context(self.clerk)).status, 200)
        self.assert_no_handshake(self.required, context())
        self.assert_no_handshake(self.required, context(self.stranger))
        self.assertEqual(once(self.optional).status, 200)
        self.assert_no_handshake(self.optional, context(self.stranger))

    def test_tokens_that_want_a_certificate(self):
        """By subject and by SHA-256, on any listener that asks for one, and never without."""
        for who, files, status in (("operator", self.operator, 200), ("operator", self.clerk, 403), ("operator", None, 403),
                                   ("agent2001", self.clerk, 200), ("agent2001", self.operator, 403), ("agent2001", None, 403),
                                   ("supervisor", None, 200), ("supervisor", self.clerk, 200)):
            for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
                with self.subTest(who, files=files, version=version):
                    made = context(files)
                    made.maximum_version = version
                    connection = connect(self.optional, made)
                    self.assertEqual(ask(connection, who=who).status, status)
                    self.assertEqual(ask(connection, who=who).status, status)
                    connection.close()
        self.assertEqual(self.gate.get(AGENT, "operator").status, 403)

    def test_streams_want_it_too(self):
        made = context(self.operator)
        WebSocket(self.optional, "operator", wrap=made.wrap_socket).close()
        ticket = once(self.optional, made, "/v1/events/ticket", "operator", "POST").json["ticket"]
        for path, headers in (("/v1/events", None), ("/v1/events?ticket=" + ticket, {"Authorization": None})):
            with self.subTest(path), self.assertRaises(Refused) as refused:
                WebSocket(self.optional, "operator" if headers is None else None, path=path, wrap=context().wrap_socket)
            self.assertEqual(refused.exception.status, 403)
            self.assertEqual(json.loads(refused.exception.body)["type"], "/problems/forbidden")

    def test_the_consumer(self):
        wsdl = once(self.consumer, context(self.clerk), "/NotificationConsumer?wsdl")
        self.assertEqual(wsdl.status, 200)
        self.assertIn(b"https://127.0.0.1:%d/NotificationConsumer" % self.consumer, wsdl.body)
        self.assert_no_handshake(self.consumer, context())
        self.assert_no_handshake(self.consumer, context(self.stranger))
        line = [entry for entry in self.gate.child.log("listening") if entry.get("consumer")][0]
        self.assertTrue(line["tls"])


if __name__ == "__main__":
    harness.main()
