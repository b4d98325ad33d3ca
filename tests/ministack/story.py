"""The whole story against the emulator: a bad configuration is published, found, approved, undone, and it helped.

Usage: story.py --bin INCIDENT_COMMANDER --slack SLACK_ALONE --rollbacks ROLLBACKS_ELSEWHERE. Exits 0 only if every check
holds.
"""

import argparse
import contextlib
import pathlib
import signal
import sys
import tempfile
import time

import kinds
from bot import Bot
from emulator import Emulator, keeps_metrics, sums, until, zipped
from shop import ALIAS, FUNCTION, NAMESPACE, Shop

HERE = pathlib.Path(__file__).parent
GOOD = {"DB_POOL_SIZE": "10", "MAX_CONCURRENT": "5"}
BAD = {"DB_POOL_SIZE": "5", "MAX_CONCURRENT": "8"}
ON_FUNCTION = [{"Name": "FunctionName", "Value": FUNCTION}]
# Seconds. A minute counts so long after its end, because that is how late CloudWatch may be.
SETTLES = 30
# Invocations before the change and after the rollback: enough to tell half from none.
ENOUGH = 60
# Minutes of the shop's metrics from before the story: what is ordinary is not told from a minute or two.
REMEMBERED = 120
SERVICES = f"""
[[service]]
name = "{FUNCTION}"
lambda = [{{ function = "{FUNCTION}", alias = "{ALIAS}" }}]
metrics = [{{ namespace = "{NAMESPACE}", dimensions = {{ Service = "{FUNCTION}" }} }}]
{kinds.CONFIGURATION}"""


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

    topic = sns.create_topic(Name="alarms")["TopicArn"]
    bot = Bot(args, check, folder, open_things, emulator, topic, (role("commander-read"), role("commander-write")), SERVICES)

    others = kinds.Kinds(emulator, lambda_role)
    others.change()
    # Past the relay: what it counts is the bot's.
    direct = {**bot.aws, "AWS_ENDPOINT_URL": emulator.url}
    kinds.roll_back_all(others, check, args.rollbacks, bot.config, direct)

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
    bot.hears_the_alarm()
    told = bot.blames(FUNCTION, {key: (GOOD[key], BAD[key]) for key in GOOD})
    check(any("logs:StartQuery" in gap["reason"] for gap in told["gaps"]), "verdict: that Insights is denied is a gap, and lines are read")
    undone = bot.rolls_back(functions, FUNCTION, ALIAS, good)
    bot.sees_recovery(FUNCTION, ALIAS)
    served, failed = until("traffic after it", lambda: (seen := shop.served(good, undone))[0] >= ENOUGH and seen)
    check(failed == 0, f"recovery: none of {served} invocations failed since")


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
