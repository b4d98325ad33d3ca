"""Shoppers: they invoke the function through its alias, and the shop counts what came of it in metrics of its own.

Lambda's metrics have minutes. The shop's have seconds, as those of a service that is watched closely do, so that a recovery
is told within half a minute.
"""

import itertools
import json
import threading
import time

FUNCTION = "checkout"
ALIAS = "live"
NAMESPACE = "Shop"
DIMENSIONS = [{"Name": "Service", "Value": FUNCTION}]
# Orders that come together. More than five at once are what a pool of five cannot serve.
BATCHES = [3, 8, 4, 8, 5, 8]
SENDERS = 3
# Seconds between two invocations of one sender, and between two publications.
PAUSE = 0.6
PUBLISHES_EVERY = 2


class Shop:
    def __init__(self, emulator):
        self.cloudwatch = emulator.client("cloudwatch")
        self.lock = threading.Lock()
        # Since the last publication.
        self.requests = self.failures = 0
        # (when, version, whether it failed) of every invocation.
        self.seen = []
        self.stopping = threading.Event()
        self.trouble = None
        self.batches = itertools.cycle(BATCHES)
        clients = [emulator.client("lambda") for _ in range(SENDERS)]
        self.threads = [threading.Thread(target=self.guard, args=(self.send, client)) for client in clients]
        self.threads.append(threading.Thread(target=self.guard, args=(self.publish,)))

    def start(self):
        for thread in self.threads:
            thread.start()

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join()

    def guard(self, work, *arguments):
        try:
            work(*arguments)
        except Exception as error:
            # Raised where the story looks.
            self.trouble = error

    def send(self, client):
        while not self.stopping.wait(PAUSE):
            with self.lock:
                size = next(self.batches)
            payload = json.dumps({"orders": [f"O-{number}" for number in range(size)]})
            answer = client.invoke(FunctionName=FUNCTION, Qualifier=ALIAS, Payload=payload)
            answer["Payload"].read()
            failed = "FunctionError" in answer
            with self.lock:
                self.requests += 1
                self.failures += failed
                self.seen.append((time.time(), answer["ExecutedVersion"], failed))

    def publish(self):
        while not self.stopping.wait(PUBLISHES_EVERY):
            with self.lock:
                requests, failures = self.requests, self.failures
                self.requests = self.failures = 0
            self.put([(time.time(), requests, failures)])

    def put(self, counts):
        data = [
            {
                "MetricName": name,
                "Dimensions": DIMENSIONS,
                "Timestamp": at,
                "Value": value,
                "Unit": "Count",
                "StorageResolution": 1,
            }
            for at, *values in counts
            for name, value in zip(("Requests", "Failures"), values)
        ]
        self.cloudwatch.put_metric_data(Namespace=NAMESPACE, MetricData=data)

    def remember(self, minutes):
        """Puts the minutes before the story, with their times: as busy as the shop is now, and a failure now and then."""
        with self.lock:
            first, last = self.seen[0][0], self.seen[-1][0]
            a_minute = round(60 * len(self.seen) / (last - first))
        self.put([(first - 60 * back, a_minute + back % 7, int(back % 9 == 0)) for back in range(1, minutes + 1)])

    def served(self, version, since=0.0):
        """Invocations of a version that ended since a time, and how many of them failed."""
        if self.trouble:
            raise self.trouble
        with self.lock:
            own = [failed for at, by, failed in self.seen if by == version and at >= since]
        return len(own), sum(own)
