"""The emulator as a process of its own, clients for it, and how this story waits."""

import contextlib
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


def keeps_metrics(cloudwatch):
    """Whether what was put is got: without cbor2 the emulator answers OK and drops every metric."""
    cloudwatch.put_metric_data(Namespace="Canary", MetricData=[{"MetricName": "Sings", "Value": 7}])
    return list(sums(cloudwatch, "Canary", "Sings", [], time.time() - 300).values()) == [7]
