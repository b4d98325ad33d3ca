"""The emulator as a process of its own, clients for it, and how this story waits."""

import contextlib
import datetime
import io
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
import zipfile

import botocore.config
import botocore.session

try:
    import cbor2
except ModuleNotFoundError as error:
    raise SystemExit("cbor2 is not installed: without it the emulator answers OK and drops metrics") from error

REGION = "us-east-1"
# Seconds that a named event may take: far more than it does, since machines are slow and shared.
WITHIN = 120


def until(what, look, within=WITHIN):
    """What `look` finds; it is asked again until there is something."""
    end = time.monotonic() + within
    while not (found := look()):
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: did not come within {within} s")
        time.sleep(0.2)
    return found


def free_port():
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def zipped(file):
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w") as archive:
        archive.writestr(file.name, file.read_text())
    return memory.getvalue()


class Emulator:
    def __init__(self, folder):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        environment = {
            **os.environ,
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(self.port),
            "CLOUDTRAIL_RECORDING": "1",
            # It would listen on a fixed port.
            "IOT_MTLS_ENABLED": "0",
            "TMPDIR": str(folder),
        }
        self.log = open(folder / "ministack.log", "wb")
        # In a session of its own: the functions that it runs end with it.
        self.process = subprocess.Popen(
            [sys.executable, "-m", "ministack"],
            env=environment,
            stdout=self.log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def open(self):
        until("the emulator answers", self.is_up)
        self.ask("POST", "/_ministack/reset")

    def is_up(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"the emulator ended with {self.process.returncode}")
        with contextlib.suppress(OSError):
            return self.ask("GET", "/_ministack/health")

    def ask(self, method, path):
        with urllib.request.urlopen(urllib.request.Request(self.url + path, method=method), timeout=30) as answer:
            return answer.read()

    def client(self, service):
        # A change that is slow must not be made twice.
        config = botocore.config.Config(retries={"total_max_attempts": 1}, read_timeout=60)
        return botocore.session.Session().create_client(
            service,
            region_name=REGION,
            endpoint_url=self.url,
            aws_access_key_id="people",
            aws_secret_access_key="any",
            config=config,
        )

    def stop(self):
        for how in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, how)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(10)
        self.log.close()


def sums(cloudwatch, namespace, name, dimensions, since):
    """A metric's sums by the minute's beginning, in epoch seconds."""
    metric = {"Namespace": namespace, "MetricName": name, "Dimensions": dimensions}
    query = {"Id": "m0", "MetricStat": {"Metric": metric, "Period": 60, "Stat": "Sum"}}
    # The end is padded: a point of this second counts.
    answer = cloudwatch.get_metric_data(StartTime=since, EndTime=time.time() + 60, MetricDataQueries=[query])
    (result,) = answer["MetricDataResults"]
    return {at.timestamp(): value for at, value in zip(result["Timestamps"], result["Values"])}


def in_cbor(emulator, operation, members):
    """One call to CloudWatch in the protocol that the bot's SDK speaks; botocore chooses another."""
    request = urllib.request.Request(
        f"{emulator.url}/service/GraniteServiceVersion20100801/operation/{operation}",
        data=cbor2.dumps(members, timezone=datetime.timezone.utc, datetime_as_timestamp=True),
        headers={
            "Smithy-Protocol": "rpc-v2-cbor",
            "Content-Type": "application/cbor",
            "Accept": "application/cbor",
            "Authorization": f"AWS4-HMAC-SHA256 Credential=people/20260206/{REGION}/monitoring/aws4_request, "
            "SignedHeaders=host, Signature=0",
        },
        method="POST",
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        content = answer.read()
    try:
        return cbor2.loads(content)
    except cbor2.CBORDecodeError:
        # An emulator that lacks cbor2 answers in JSON.
        return {}


def keeps_metrics(emulator):
    """Whether what was put is got: without cbor2 the emulator answers OK and drops every metric."""
    in_cbor(emulator, "PutMetricData", {"Namespace": "Canary", "MetricData": [{"MetricName": "Sings", "Value": 7.0}]})
    query = {"Id": "m0", "MetricStat": {"Metric": {"Namespace": "Canary", "MetricName": "Sings"}, "Period": 60, "Stat": "Sum"}}
    now = datetime.datetime.now(datetime.timezone.utc)
    around = {"StartTime": now - datetime.timedelta(minutes=5), "EndTime": now + datetime.timedelta(minutes=1)}
    answer = in_cbor(emulator, "GetMetricData", {**around, "MetricDataQueries": [query]})
    return [result["Values"] for result in answer.get("MetricDataResults", [])] == [[7.0]]
