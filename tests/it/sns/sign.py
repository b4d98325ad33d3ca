"""Signs the messages of this folder anew, with a key that is made for it and thrown away.

Usage: python3 tests/it/sns/sign.py (needs `openssl`). It writes certificate.pem, the messages of messages.json with their new
signatures, and hostile.json: what an attacker would say who could make Amazon sign it, by class of attack. The words
are those of tests/it/attacks/table.rs, which a test holds against each other.
"""

import base64
import json
import pathlib
import subprocess
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
TOPIC = "arn:aws:sns:eu-west-1:123456789012:alarms"
CANARY = "Canary7Zq"
INJECTIONS = {
    "blocks": f"{CANARY} <!channel> <@U1> *bold* `code` &lt;!here&gt;",
    "links": f"{CANARY} <https://evil.example|Roll back> https://evil.example/{CANARY}",
    "SQL": f"{CANARY}'; DROP TABLE incidents; --",
    "log lines": f'{CANARY}\n2026-02-06T12:00:00Z ERROR forged\x1b[2J\r\n{{"level":"ERROR"}}',
    "headers": f"{CANARY}\r\nSet-Cookie: a=b\r\n\r\n<script>",
    "file names": f"../../{CANARY}/etc/passwd\0.json",
    "secrets": f"{CANARY} password=hunter2 xoxb-123456789012-{CANARY}",
    "directions": f"{CANARY}\u202egnp.exe\u2066",
}


def alarm(text):
    """An alarm whose every word is somebody else's."""
    return {
        "AlarmName": text, "AlarmDescription": text, "AWSAccountId": text, "NewStateValue": "ALARM",
        "NewStateReason": text, "StateChangeTime": "2026-02-06T12:15:00.000+0000", "Region": text, "OldStateValue": "OK",
        "Trigger": {"MetricName": text, "Namespace": text, "Dimensions": [{"name": "FunctionName", "value": text}],
                    "Threshold": 5.0},
    }


def change(text, number):
    """A change that EventBridge delivers, of whoever chose the names."""
    return {
        "version": "0", "id": f"hostile-{number}", "detail-type": "AWS API Call via CloudTrail", "source": "aws.lambda",
        "account": text, "time": "2026-02-06T12:00:05Z", "region": text, "resources": [text],
        "detail": {
            "eventVersion": "1.08", "userIdentity": {"type": "IAMUser", "arn": text, "userName": text},
            "eventTime": "2026-02-06T12:00:00Z", "eventSource": "lambda.amazonaws.com",
            "eventName": "UpdateAlias20150331", "awsRegion": "eu-west-1", "eventID": text,
            "requestParameters": {"functionName": text, "name": text, "functionVersion": "42"}, "readOnly": False,
        },
    }


def notification(number, message, timestamp="2026-02-06T12:16:00.000Z"):
    return {"Type": "Notification", "MessageId": f"hostile-{number}", "TopicArn": TOPIC, "Message": message,
            "Timestamp": timestamp, "SignatureVersion": "2"}


def hostile():
    words = [(kind, json.dumps(made)) for number, (kind, text) in enumerate(INJECTIONS.items())
             for made in (alarm(text), change(text, number))]
    words += [
        ("deep", "[" * 2_000),
        ("deep", '{"AlarmName":' * 200 + "1" + "}" * 200),
        ("bomb", '{"AlarmName": "bomb", "Trigger": {"Dimensions": [' + ",".join(["{}"] * 2_000) + "]}}"),
        ("not UTF-8", "\ufffd\ud7ff\u0000\uffff"),
    ]
    for number, (kind, message) in enumerate(words):
        yield {"class": kind, "envelope": notification(number, message)}
    yield {"class": "stale", "envelope": notification(90, json.dumps(alarm(CANARY)), "2026-02-06T10:00:00.000Z")}
    yield {"class": "stale", "envelope": notification(91, json.dumps(alarm(CANARY)), "2026-02-06T15:00:00.000Z")}


def signed_text(message):
    confirms = message["Type"] != "Notification"
    names = ["Message", "MessageId", "SubscribeURL" if confirms else "Subject", "Timestamp"]
    names += (["Token"] if confirms else []) + ["TopicArn", "Type"]
    return "".join(f"{name}\n{message[name]}\n" for name in names if name in message)


def main():
    messages = json.loads((HERE / "messages.json").read_text())
    attacks = list(hostile())
    with tempfile.TemporaryDirectory() as folder:
        key = pathlib.Path(folder) / "key.pem"
        made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "36500", "-subj", "/CN=sns.test"]
        subprocess.run([*made, "-keyout", key, "-out", HERE / "certificate.pem"], check=True, capture_output=True)
        for message in [*messages.values(), *(attack["envelope"] for attack in attacks)]:
            digest = "-sha1" if message["SignatureVersion"] == "1" else "-sha256"
            signing = ["openssl", "dgst", digest, "-sign", key]
            signed = subprocess.run(signing, input=signed_text(message).encode(), check=True, capture_output=True)
            message["Signature"] = base64.b64encode(signed.stdout).decode()
            message["SigningCertURL"] = "filled in by the test"
    (HERE / "messages.json").write_text(json.dumps(messages, indent=1) + "\n")
    (HERE / "hostile.json").write_text(json.dumps(attacks, indent=1) + "\n")


main()
