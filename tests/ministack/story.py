"""The whole story against the emulator: a bad configuration is published, found, approved, undone, and it helped.

Usage: story.py --bin INCIDENT_COMMANDER --slack SLACK_ALONE --rollbacks ROLLBACKS_ELSEWHERE. Exits 0 only if every check
holds.
"""

import argparse
import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

import kinds
from emulator import REGION, Emulator, free_port, keeps_metrics, sums, until, zipped
from relay import Relay
from shop import ALIAS, FUNCTION, NAMESPACE, Shop
from slack import Slack

HERE = pathlib.Path(__file__).parent
SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
GOOD = {"DB_POOL_SIZE": "10", "MAX_CONCURRENT": "5"}
BAD = {"DB_POOL_SIZE": "5", "MAX_CONCURRENT": "8"}
ON_FUNCTION = [{"Name": "FunctionName", "Value": FUNCTION}]
# Seconds. A minute counts so long after its end, because that is how late CloudWatch may be.
SETTLES = 30
# Invocations before the change and after the rollback: enough to tell half from none.
ENOUGH = 60
# Minutes of the shop's metrics from before the story: what is ordinary is not told from a minute or two.
REMEMBERED = 120


class Checks:
    def __init__(self):
        self.begun = time.monotonic()
        self.held = 0

    def __call__(self, holds, what):
        if not holds:
            raise AssertionError(f"does not hold: {what}")
        self.held += 1
        self.tell(f"ok  {what}")

    def tell(self, what):
        print(f"{time.monotonic() - self.begun:6.1f} s  {what}", flush=True)


def configuration(folder, ids, topic, read_role, write_role):
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

[[service]]
name = "{FUNCTION}"
lambda = [{{ function = "{FUNCTION}", alias = "{ALIAS}" }}]
metrics = [{{ namespace = "{NAMESPACE}", dimensions = {{ Service = "{FUNCTION}" }} }}]
{kinds.CONFIGURATION}""")
    return str(path)


def start_bot(binary, config, environment, folder, open_things):
    """The bot as anybody runs it; it ends with the story."""
    log = open_things.enter_context(open(folder / "bot.log", "wb"))
    bot = subprocess.Popen([binary, "serve", "--config", config], env={**os.environ, **environment}, stdout=log, stderr=log)

    def stop():
        bot.terminate()
        bot.wait(30)

    open_things.callback(stop)
    return bot


def answer_of(url):
    """The body, or `None` where nobody answers well."""
    with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=30) as answer:
        return answer.read()


def deploy(functions, role):
    functions.create_function(
        FunctionName=FUNCTION,
        Runtime="python3.11",
        Role=role,
        Handler="handler.handler",
        Timeout=10,
        Code={"ZipFile": zipped(HERE / "handler.py")},
        Environment={"Variables": GOOD},
    )
    functions.get_waiter("function_active_v2").wait(FunctionName=FUNCTION)
    version = functions.publish_version(FunctionName=FUNCTION)["Version"]
    functions.create_alias(FunctionName=FUNCTION, Name=ALIAS, FunctionVersion=version)
    return version


def publish(functions, variables):
    functions.update_function_configuration(FunctionName=FUNCTION, Environment={"Variables": variables})
    functions.get_waiter("function_updated_v2").wait(FunctionName=FUNCTION)
    version = functions.publish_version(FunctionName=FUNCTION)["Version"]
    functions.update_alias(FunctionName=FUNCTION, Name=ALIAS, FunctionVersion=version)
    return version


def failing_minute(cloudwatch, since):
    """Whether a whole minute of failures is there, and so old that it counts."""
    begins = (since // 60 + 1) * 60
    if time.time() < begins + 60 + SETTLES:
        return False
    errors, all_ = (
        sums(cloudwatch, "AWS/Lambda", name, ON_FUNCTION, since - 60).get(begins, 0) for name in ("Errors", "Invocations")
    )
    return errors >= 0.25 * all_ > 0


def tell_story(args, check, folder, open_things):
    emulator = Emulator(folder)
    open_things.callback(emulator.stop)
    emulator.open()
    functions, iam, sns, cloudwatch, logs = map(emulator.client, ("lambda", "iam", "sns", "cloudwatch", "logs"))
    check(keeps_metrics(emulator), "canary: a metric that was put is got")

    def role(name):
        return iam.create_role(RoleName=name, AssumeRolePolicyDocument="{}")["Role"]["Arn"]

    lambda_role = role("functions")
    good = deploy(functions, lambda_role)
    shop = Shop(emulator)
    open_things.callback(shop.stop)
    shop.start()

    bot_url = f"http://127.0.0.1:{free_port()}"
    relay = Relay(emulator.port, bot_url)
    open_things.callback(relay.close)
    slack = Slack(args.slack, bot_url, SECRET)
    open_things.callback(slack.stop)
    topic = sns.create_topic(Name="alarms")["TopicArn"]
    config = configuration(folder, slack.ids, topic, role("commander-read"), role("commander-write"))
    aws = {"AWS_ACCESS_KEY_ID": "commander", "AWS_SECRET_ACCESS_KEY": "any", "AWS_ENDPOINT_URL": relay.url}
    database = f"sqlite://{folder}/commander.db"
    environment = {
        **aws,
        "SLACK_API_URL": slack.ids["api"],
        "SLACK_BOT_TOKEN": slack.ids["token"],
        "SLACK_SIGNING_SECRET": SECRET,
        "DATABASE_URL": database,
        "COMMANDER_LISTEN": bot_url.removeprefix("http://"),
    }
    start_bot(args.bin, config, environment, folder, open_things)
    until("the bot answers", lambda: answer_of(f"{bot_url}/healthz"))

    sns.subscribe(TopicArn=topic, Protocol="http", Endpoint=f"{relay.url}/sns")
    until("the subscription is delivered", lambda: relay.deliveries("SubscriptionConfirmation"))
    (subscription,) = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    check(relay.deliveries("SubscriptionConfirmation") == [(403, 200)], "sns: a forged signature is refused, a good one not")
    check(subscription["SubscriptionArn"].startswith("arn:"), "sns: the bot confirms the subscription")

    others = kinds.Kinds(emulator, lambda_role)
    others.change()
    # Past the relay: what it counts is the bot's.
    direct = {**aws, "AWS_ENDPOINT_URL": emulator.url}
    kinds.roll_back_all(others, check, args.rollbacks, config, direct)

    until("ordinary traffic", lambda: shop.served(good)[0] >= ENOUGH)
    check(shop.served(good)[1] == 0, "lambda: the function runs, and none of its invocations fails")
    shop.remember(REMEMBERED)
    # So that the next minute is one of failures from its beginning.
    until("a minute that ends", lambda: time.time() % 60 > 54)
    bad = publish(functions, BAD)
    changed = time.time()
    check.tell(f"    version {bad} is live: {BAD}")
    until("a whole minute of failures", lambda: failing_minute(cloudwatch, changed), within=240)
    line = logs.filter_log_events(logGroupName=f"/aws/lambda/{FUNCTION}", filterPattern='"no database connection"')["events"]
    check(line and f"[{bad}]" in line[0]["logStreamName"], "lambda: its metrics and its lines show the failures")

    cloudwatch.put_metric_alarm(
        AlarmName="checkout-errors",
        Namespace="AWS/Lambda",
        MetricName="Errors",
        Dimensions=ON_FUNCTION,
        Statistic="Average",
        Period=60,
        EvaluationPeriods=1,
        Threshold=0.2,
        ComparisonOperator="GreaterThanThreshold",
        AlarmActions=[topic],
    )
    until("the alarm is delivered", lambda: relay.deliveries("Notification"))
    check(relay.deliveries("Notification") == [(403, 200)], "alarm: CloudWatch's alarm comes over SNS and is believed")
    until("the verdict", lambda: slack.of_kind("incident_result"))

    def incident():
        return json.loads(answer_of(f"{bot_url}/incidents/INC-1"))

    told = incident()
    verdict = told["verdict"]
    blamed = (verdict["cause"], (verdict["change"] or {}).get("resource"))
    check(blamed == ("deployment", FUNCTION), f"verdict: {verdict['cause']} of {(verdict['change'] or {}).get('resource')}")
    values = {entry["key"]: (entry["before"], entry["after"]) for entry in verdict["change"]["config"]}
    check(values == {key: (GOOD[key], BAD[key]) for key in GOOD}, f"verdict: old and new values {values}")

    def headline_names_them():
        told_in_thread = json.dumps(slack.of_kind("incident_headline"))
        return all(f"{key} from {GOOD[key]} to {BAD[key]}" in told_in_thread for key in GOOD)

    # The headline is edited at Slack's pace, which may be after the result was posted.
    until("the headline names them", headline_names_them)
    check(headline_names_them(), "verdict: the headline names them too")
    sources = {item["source"] for item in told["evidence"]}
    check(sources == {"logs", "metrics", "deploy"}, "verdict: it rests on logs, metrics and deployments")
    check(any("logs:StartQuery" in gap["reason"] for gap in told["gaps"]), "verdict: that Insights is denied is a gap, and lines are read")
    check.tell(f"    confidence {verdict['confidence']:.2f}")

    button = until("the button", lambda: slack.with_button("rollback_approve"))
    slack.click(slack.ids["stranger"], button, "rollback_approve")
    refusal = until("the private answer to the stranger", lambda: slack.only_for(slack.ids["stranger"]))
    check("not on the list of approvers" in refusal["text"], f"stranger: refused privately: {refusal['text']}")
    check(relay.changes() == [], "nothing was changed before an approval")
    slack.click(slack.ids["approver"], button, "rollback_approve")

    def alias():
        now = functions.get_alias(FunctionName=FUNCTION, Name=ALIAS)
        return now["FunctionVersion"], now.get("RoutingConfig", {}).get("AdditionalVersionWeights", {})

    until("the alias is back", lambda: alias() == (good, {}))
    undone = time.time()
    check(True, f"approver: {FUNCTION}:{ALIAS} is back at version {good}")
    word = until("the word about recovery", lambda: slack.of_kind("incident_recovery"), within=240)
    check(incident()["state"] == "recovered", f"recovery: {word['text']}")
    served, failed = until("traffic after it", lambda: (seen := shop.served(good, undone))[0] >= ENOUGH and seen)
    check(failed == 0, f"recovery: none of {served} invocations failed since")
    ((method, path, _, key),) = relay.changes()
    check((method, path.rpartition("/functions/")[2]) == ("PUT", f"{FUNCTION}/aliases/{ALIAS}"), "one UpdateAlias, and no other change")
    check(len(relay.calls_by(key)) == 1, "it was made with the writing role, which did nothing else")
    audit = [args.bin, "incidents", "audit", "INC-1", "--database-url", database]
    check(subprocess.run(audit, stdout=subprocess.DEVNULL).returncode == 0, "audit: the chain of hashes holds")


def told(story, *options, logs=("bot.log", "ministack.log")):
    """Tells a story to its end, with the programs that its options name; where it breaks off, the logs' ends are shown."""
    parser = argparse.ArgumentParser()
    for name in options:
        parser.add_argument(name, required=True)
    args = parser.parse_args()
    # Whoever ends the story ends everything that it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    check = Checks()
    with tempfile.TemporaryDirectory(prefix="ministack-", ignore_cleanup_errors=True) as name:
        folder = pathlib.Path(name)
        try:
            with contextlib.ExitStack() as open_things:
                story(args, check, folder, open_things)
        except BaseException:
            for log in logs:
                with contextlib.suppress(OSError):
                    print(f"--- the end of {log}\n{(folder / log).read_text()[-3000:]}", file=sys.stderr)
            raise
    print(f"{check.held} checks held")


if __name__ == "__main__":
    told(tell_story, "--bin", "--slack", "--rollbacks")
