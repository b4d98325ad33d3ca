"""What stands between the bot and the emulator: it passes everything on, and does three things of its own.

It refuses Logs Insights, whose filters the emulator ignores without a word; it signs what SNS delivers, which the emulator
signs with 'FAKE'; and it keeps what came by, so that calls are counted on the wire.
"""

import base64
import contextlib
import datetime
import http.client
import json
import re
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID

# Headers of one hop.
HOP = {"connection", "keep-alive", "transfer-encoding", "content-length"}
# As the Amazon SNS Developer Guide lists them, in this order.
SIGNED = {
    "Notification": ["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"],
    "SubscriptionConfirmation": ["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"],
}


class Signer:
    """A key with its certificate, in place of Amazon's."""

    def __init__(self):
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.emulator.example")])
        now = datetime.datetime.now(datetime.timezone.utc)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .sign(self.key, hashes.SHA256())
        )
        self.pem = certificate.public_bytes(serialization.Encoding.PEM)

    def sign(self, envelope, certificate_url):
        """The same message with version 2's signature: RSA over SHA-256."""
        fields = [(name, envelope[name]) for name in SIGNED[envelope["Type"]] if envelope.get(name) is not None]
        text = "".join(f"{name}\n{value}\n" for name, value in fields)
        signature = self.key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())
        return {
            **envelope,
            "SignatureVersion": "2",
            "Signature": base64.b64encode(signature).decode(),
            "SigningCertURL": certificate_url,
        }


class Relay:
    """Serves on a free port of this machine until it is closed."""

    def __init__(self, emulator_port, bot):
        self.emulator_port = emulator_port
        self.bot = bot
        self.signer = Signer()
        self.lock = threading.Lock()
        # (method, path, operation of a JSON service, access key) of every request to AWS.
        self.calls = []
        # (type of message, the bot's status for the emulator's own signature, its status for ours).
        self.delivered = []
        relay = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def any_method(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if self.path == "/sns.pem":
                    status, headers, body = 200, [], relay.signer.pem
                elif self.path == "/sns":
                    status, headers, body = relay.deliver(json.loads(body)), [], b""
                else:
                    status, headers, body = relay.pass_on(self.command, self.path, self.headers.items(), body)
                # Whoever asked may have given up meanwhile.
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    self.send_response(status)
                    for name, value in [*headers, ("Content-Length", str(len(body)))]:
                        self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(body)

            do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = any_method

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def pass_on(self, method, path, headers, body):
        headers = {name.lower(): value for name, value in headers if name.lower() not in HOP}
        operation = headers.get("x-amz-target", "").rpartition(".")[2]
        key = re.search(r"Credential=([^/]+)/", headers.get("authorization", ""))
        with self.lock:
            self.calls.append((method, path, operation, key and key.group(1)))
        if operation == "StartQuery":
            denied = {"__type": "AccessDeniedException", "message": "not authorized to perform: logs:StartQuery"}
            return 400, [("Content-Type", "application/x-amz-json-1.1")], json.dumps(denied).encode()
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.emulator_port, timeout=60)) as emulator:
            emulator.request(method, path, body=body, headers=headers)
            answer = emulator.getresponse()
            content = answer.read()
            kept = [(name, value) for name, value in answer.getheaders() if name.lower() not in HOP]
            return answer.status, kept, content

    def deliver(self, envelope):
        """To the bot: first with the emulator's own signature, then signed; again where the bot could not take it."""
        certificate = f"{self.url}/sns.pem"
        forged = self.to_bot({**envelope, "SigningCertURL": certificate})
        for wait in (0, 1, 2, 4):
            time.sleep(wait)
            status = self.to_bot(self.signer.sign(envelope, certificate))
            if status < 500:
                break
        with self.lock:
            self.delivered.append((envelope["Type"], forged, status))
        return status

    def to_bot(self, envelope):
        with contextlib.closing(http.client.HTTPConnection(self.bot.removeprefix("http://"), timeout=30)) as bot:
            bot.request("POST", "/aws/sns", body=json.dumps(envelope), headers={"Content-Type": "text/plain"})
            return bot.getresponse().status

    def deliveries(self, kind):
        with self.lock:
            return [(forged, signed) for type_, forged, signed in self.delivered if type_ == kind]

    def changes(self):
        """Requests that may change something of a function: what reads is GET."""
        with self.lock:
            return [call for call in self.calls if "/functions/" in call[1] and call[0] != "GET"]

    def calls_by(self, key):
        with self.lock:
            return [call for call in self.calls if call[3] == key]
