"""The bot as anybody runs it, `serve`, between the relay and the demo's Slack; and the second half of its story, which is
the same whatever was changed: the button, a stranger, an approver, one call, the word about recovery.
"""

import contextlib
import json
import os
import subprocess
import time
import urllib.request

from emulator import REGION, free_port, until
from relay import Relay
from slack import Slack

SECRET = "8f742231b10e8888abcd99yyyzzz85a5"


def configuration(folder, ids, topic, read_role, write_role, services):
    path = folder / "commander.toml"
    path.write_text(f"""
[slack]
alert_channels = ["{ids['channel']}"]

[aws]
region = "{REGION}"
read_role_arn = "{read_role}"
write_role_arn = "{write_role}"
topics = ["{topic}"]

[approvals]
approvers = ["{ids['approvers']}"]
{services}""")
    return str(path)


def answer_of(url):
    """The body, or `None` where nobody answers well."""
    with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=30) as answer:
        return answer.read()


class Bot:
    """Runs until the story ends. `services` are entries of its configuration."""

    def __init__(self, args, check, folder, open_things, emulator, topic, roles, services=""):
        self.check = check
        self.url = f"http://127.0.0.1:{free_port()}"
        self.relay = Relay(emulator.port, self.url)
        open_things.callback(self.relay.close)
        self.slack = Slack(args.slack, self.url, SECRET)
        open_things.callback(self.slack.stop)
        self.config = configuration(folder, self.slack.ids, topic, *roles, services)
        self.aws = {"AWS_ACCESS_KEY_ID": "commander", "AWS_SECRET_ACCESS_KEY": "any", "AWS_ENDPOINT_URL": self.relay.url}
        self.binary, self.database = args.bin, f"sqlite://{folder}/commander.db"
        self.start(folder, open_things)
        self.hear(emulator.client("sns"), topic)

    def start(self, folder, open_things):
        environment = {
            **os.environ,
            **self.aws,
            "SLACK_API_URL": self.slack.ids["api"],
            "SLACK_BOT_TOKEN": self.slack.ids["token"],
            "SLACK_SIGNING_SECRET": SECRET,
            "DATABASE_URL": self.database,
            "COMMANDER_LISTEN": self.url.removeprefix("http://"),
        }
        log = open_things.enter_context(open(folder / "bot.log", "wb"))
        process = subprocess.Popen([self.binary, "serve", "--config", self.config], env=environment, stdout=log, stderr=log)

        def stop():
            process.terminate()
            process.wait(30)

        open_things.callback(stop)
        until("the bot answers", lambda: answer_of(f"{self.url}/healthz"))

    def hear(self, sns, topic):
        sns.subscribe(TopicArn=topic, Protocol="http", Endpoint=f"{self.relay.url}/sns")
        until("the subscription is delivered", lambda: self.relay.deliveries("SubscriptionConfirmation"))
        (subscription,) = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
        confirmed = self.relay.deliveries("SubscriptionConfirmation") == [(403, 200)]
        self.check(confirmed, "sns: a forged signature is refused, a good one not")
        self.check(subscription["SubscriptionArn"].startswith("arn:"), "sns: the bot confirms the subscription")

    def incident(self):
        return json.loads(answer_of(f"{self.url}/incidents/INC-1"))

    def hears_the_alarm(self, notifications=1):
        until("the alarm is delivered", lambda: len(self.relay.deliveries("Notification")) == notifications)
        believed = self.relay.deliveries("Notification") == notifications * [(403, 200)]
        self.check(believed, "alarm: CloudWatch's alarm comes over SNS and is believed")

    def blames(self, function, values):
        """The incident with its verdict, which names what was changed, and `values` from the old to the new."""
        until("the verdict", lambda: self.slack.of_kind("incident_result"))
        told = self.incident()
        verdict = told["verdict"]
        change = verdict["change"] or {}
        blamed = (verdict["cause"], change.get("resource"))
        self.check(blamed == ("deployment", function), f"verdict: {verdict['cause']} of {change.get('resource')}")
        named = {entry["key"]: (entry["before"], entry["after"]) for entry in change["config"]}
        self.check(named == values, f"verdict: old and new values {named}")

        def headline_names_them():
            told_in_thread = json.dumps(self.slack.of_kind("incident_headline"))
            return all(f"{key} from {old} to {new}" in told_in_thread for key, (old, new) in values.items())

        # The headline is edited at Slack's pace, which may be after the result was posted.
        until("the headline names them", headline_names_them)
        self.check(headline_names_them(), "verdict: the headline names them too")
        sources = {item["source"] for item in told["evidence"]}
        self.check(sources == {"logs", "metrics", "deploy"}, "verdict: it rests on logs, metrics and deployments")
        self.check.tell(f"    confidence {verdict['confidence']:.2f}")
        return told

    def rolls_back(self, functions, function, alias, good):
        """By an approver's click and nobody else's; when it was done."""
        slack = self.slack
        button = until("the button", lambda: slack.with_button("rollback_approve"))
        slack.click(slack.ids["stranger"], button, "rollback_approve")
        refusal = until("the private answer to the stranger", lambda: slack.only_for(slack.ids["stranger"]))
        self.check("not on the list of approvers" in refusal["text"], f"stranger: refused privately: {refusal['text']}")
        self.check(self.relay.changes() == [], "nothing was changed before an approval")
        slack.click(slack.ids["approver"], button, "rollback_approve")

        def live():
            now = functions.get_alias(FunctionName=function, Name=alias)
            return now["FunctionVersion"], now.get("RoutingConfig", {}).get("AdditionalVersionWeights", {})

        until("the alias is back", lambda: live() == (good, {}))
        undone = time.time()
        self.check(True, f"approver: {function}:{alias} is back at version {good}")
        return undone

    def sees_recovery(self, function, alias):
        word = until("the word about recovery", lambda: self.slack.of_kind("incident_recovery"), within=300)
        self.check(self.incident()["state"] == "recovered", f"recovery: {word['text']}")
        ((method, path, _, key),) = self.relay.changes()
        once = (method, path.rpartition("/functions/")[2]) == ("PUT", f"{function}/aliases/{alias}")
        self.check(once, "one UpdateAlias, and no other change")
        self.check(len(self.relay.calls_by(key)) == 1, "it was made with the writing role, which did nothing else")
        audit = [self.binary, "incidents", "audit", "INC-1", "--database-url", self.database]
        self.check(subprocess.run(audit, stdout=subprocess.DEVNULL).returncode == 0, "audit: the chain of hashes holds")
