"""The demo's Slack as a process of its own: what it shows, and the clicks of people."""

import json
import subprocess
import threading


class Slack:
    def __init__(self, binary, bot, secret, *options):
        self.process = subprocess.Popen(
            [binary, "--bot", bot, "--signing-secret", secret, *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.ids = json.loads(self.process.stdout.readline())
        self.lock = threading.Lock()
        # Every message and every change of one, in order.
        self.shown = []
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            with self.lock:
                self.shown.append(json.loads(line))

    def last(self, fits):
        with self.lock:
            return next((line["message"] for line in reversed(self.shown) if "message" in line and fits(line)), None)

    def of_kind(self, kind):
        """The newest state of a message of one of the bot's kinds."""
        return self.last(lambda line: line["message"].get("metadata", {}).get("event_type") == kind)

    def with_button(self, action):
        return self.last(lambda line: f'"action_id": "{action}"' in json.dumps(line["message"].get("blocks", [])))

    def only_for(self, user):
        return self.last(lambda line: line.get("only_for") == user)

    def click(self, user, message, action):
        click = {"user": user, "ts": message["ts"], "action_id": action}
        self.process.stdin.write(json.dumps(click) + "\n")
        self.process.stdin.flush()

    def stop(self):
        self.process.stdin.close()
        self.process.wait(20)
