"""The CloudFormation stacks of deploy/ against the emulator, and the demo's story on the function that one of them deploys.

Usage: stacks.py --bin INCIDENT_COMMANDER --slack SLACK_ALONE --checkout DEMO_CHECKOUT_SERVICE. Exits 0 only if every check
holds.

The checkout service runs there as a Lambda function with a custom runtime, the same binary as anybody starts by hand. An
update of the stack with another scenario publishes a version and moves the alias; `investigate` finds that, the stack's own
alarm reaches `serve`, an approver clicks, and the alias is back. The bot is configured with the outputs of its stack, as
docs/install.md says, and with nothing else.
"""

import collections
import json
import os
import pathlib
import re
import subprocess
import threading
import time

from bot import Bot
from emulator import REGION, Emulator, until
from story import told

HERE = pathlib.Path(__file__).parent
DEPLOY = HERE.parents[1] / "deploy"
FUNCTION = "demo-checkout-service"
ALARM = "demo-checkout-service-errors"
BUCKET = "artifacts"
# Orders of one invocation: three groups of ten.
REQUESTS = 30
SENDERS = 2
# Seconds of traffic on the bad version: two whole minutes, whenever it begins. One bad minute is noise to whoever looks at minutes.
BAD_FOR = 150
# Minutes of metrics from before the story: what is ordinary is not told from a minute or two.
REMEMBERED = 120


def archive(binary, folder):
    """The function's archive, as the script that people run makes it."""
    made = subprocess.run(
        [DEPLOY / "demo" / "build.sh", folder],
        env={**os.environ, "BINARY": str(pathlib.Path(binary).resolve())},
        capture_output=True,
        text=True,
        check=True,
    )
    return pathlib.Path(made.stdout.strip()).read_bytes()


class Stack:
    def __init__(self, emulator, name, body, parameters):
        self.client = emulator.client("cloudformation")
        self.name, self.body, self.parameters = name, body, parameters
        self.client.create_stack(StackName=name, TemplateBody=body, Parameters=self.given(), Capabilities=["CAPABILITY_IAM"])
        self.is_done("CREATE_COMPLETE")

    def given(self):
        return [{"ParameterKey": key, "ParameterValue": value} for key, value in self.parameters.items()]

    def update(self, **parameters):
        self.parameters.update(parameters)
        self.client.update_stack(
            StackName=self.name, TemplateBody=self.body, Parameters=self.given(), Capabilities=["CAPABILITY_IAM"]
        )
        self.is_done("UPDATE_COMPLETE")

    def described(self):
        return self.client.describe_stacks(StackName=self.name)["Stacks"][0]

    def is_done(self, wanted):
        def ended():
            status = self.described()["StackStatus"]
            return status if status.endswith(("_COMPLETE", "_FAILED")) else None

        status = until(f"the stack {self.name}", ended)
        if status != wanted:
            events = self.client.describe_stack_events(StackName=self.name)["StackEvents"]
            reasons = [f"{one['LogicalResourceId']}: {one.get('ResourceStatusReason')}" for one in events]
            raise AssertionError(f"{self.name}: {status}: {reasons}")

    def resources(self):
        return self.client.describe_stack_resources(StackName=self.name)["StackResources"]

    def outputs(self):
        return {one["OutputKey"]: one["OutputValue"] for one in self.described().get("Outputs", [])}


def kinds(body):
    """How often a template declares each kind of resource, by its text."""
    resources = body.partition("\nResources:\n")[2].partition("\nOutputs:\n")[0]
    return collections.Counter(re.findall(r"^    Type: (AWS::\S+)$", resources, re.M))


def commander(emulator, check):
    """The bot's own stack. The emulator knows no volumes: all but that is deployed, and its id is written down."""
    body = (DEPLOY / "cloudformation" / "commander.yaml").read_text()
    without = re.sub(r"  DataVolume:\n(?:    .*\n|\n)+", "", body).replace("${DataVolume}", "vol-0123456789abcdef0")
    # Amazon's own public parameter is not there.
    emulator.client("ssm").put_parameter(Name="/images/machine", Value="ami-0123456789abcdef0", Type="String")
    ec2 = emulator.client("ec2")
    network = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
    subnet = ec2.describe_subnets()["Subnets"][0]
    stack = Stack(
        emulator,
        "commander",
        without,
        {
            "VpcId": network,
            "SubnetId": subnet["SubnetId"],
            "AvailabilityZone": subnet["AvailabilityZone"],
            "ImageId": "/images/machine",
            "ArtifactBucket": BUCKET,
        },
    )
    made = collections.Counter(one["ResourceType"] for one in stack.resources())
    declared = kinds(without)
    # Only where an address is given.
    declared.pop("AWS::SNS::Subscription")
    check(made == declared, f"commander.yaml: deployed, all but its volume: {sum(made.values())} resources")
    return stack.outputs()


class Shoppers:
    """Invocations one after another, as EventBridge's rule makes them each minute: the emulator runs no schedule."""

    def __init__(self, emulator):
        self.stopping = threading.Event()
        # (when, version, orders, failures) of every invocation.
        self.seen, self.trouble = [], None
        clients = [emulator.client("lambda") for _ in range(SENDERS)]
        self.threads = [threading.Thread(target=self.send, args=(client,)) for client in clients]

    def start(self):
        for thread in self.threads:
            thread.start()

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join()

    def send(self, client):
        try:
            while not self.stopping.is_set():
                answer = client.invoke(FunctionName=FUNCTION, Qualifier="live", Payload=json.dumps({"requests": REQUESTS}))
                summary = json.loads(answer["Payload"].read())["summary"]
                self.seen.append((time.time(), answer["ExecutedVersion"], summary["requests"], summary["failed"]))
        except Exception as error:
            # Raised where the story looks.
            self.trouble = error

    def a_minute(self):
        """Orders a minute: each invocation's end is the beginning of the sender's next one."""
        (first, *_), (last, *_) = self.seen[0], self.seen[-1]
        return round(60 * sum(orders for _, _, orders, _ in self.seen[1:]) / (last - first))

    def served(self, version, since=0.0):
        if self.trouble:
            raise self.trouble
        own = [(orders, failed) for at, by, orders, failed in list(self.seen) if by == version and at >= since]
        return sum(orders for orders, _ in own), sum(failed for _, failed in own)


class EmbeddedMetrics:
    """What CloudWatch does with lines in its embedded metric format, and the emulator does not: it makes metrics of them."""

    def __init__(self, emulator):
        self.logs, self.cloudwatch = emulator.client("logs"), emulator.client("cloudwatch")
        self.taken, self.orders = set(), 0

    def take(self):
        """Each line once, and all of them at once: the alarm is looked at after each call, and must not see half of them. How
        many orders there were in all: lines come when the emulator comes to it."""
        pages = self.logs.get_paginator("filter_log_events").paginate(logGroupName=f"/aws/lambda/{FUNCTION}", filterPattern='"_aws"')
        events = [event for page in pages for event in page["events"] if event["message"] not in self.taken]
        lines = [json.loads(event["message"]) for event in events if '"_aws"' in event["message"]]
        self.put([datum for line in lines for datum in self.data_of(line)])
        self.orders += sum(len(line["OrderRequests"]) for line in lines)
        self.taken.update(event["message"] for event in events)
        return self.orders

    def put(self, data):
        # A call takes a thousand.
        for first in range(0, len(data), 1000):
            self.cloudwatch.put_metric_data(Namespace="DemoApp", MetricData=data[first : first + 1000])

    @staticmethod
    def data_of(line):
        (directive,) = line["_aws"]["CloudWatchMetrics"]
        (names,) = directive["Dimensions"]
        return [
            {
                "MetricName": metric["Name"],
                "Unit": metric["Unit"],
                "Timestamp": line["_aws"]["Timestamp"] / 1000,
                "Dimensions": [{"Name": name, "Value": line[name]} for name in names],
                "StatisticValues": {
                    "SampleCount": len(values := line[metric["Name"]]),
                    "Sum": sum(values),
                    "Minimum": min(values),
                    "Maximum": max(values),
                },
            }
            for metric in directive["Metrics"]
        ]

    def remember(self, minutes, requests):
        """The minutes before, with so many requests each, of which one in twenty meets a locked row."""
        dimensions = [{"Name": "Service", "Value": FUNCTION}]
        data = []
        for back in range(1, minutes + 1):
            at = time.time() - 60 * back
            failed = requests * (4 + back % 3) // 100
            counts = {"OrderRequests": (requests, requests), "CheckoutFailures": (requests, failed), "db_timeout": (requests, failed)}
            data += [
                {
                    "MetricName": name,
                    "Unit": "Count",
                    "Timestamp": at,
                    "Dimensions": dimensions,
                    "StatisticValues": {"SampleCount": count, "Sum": total, "Minimum": 0, "Maximum": 1},
                }
                for name, (count, total) in counts.items()
            ]
        self.put(data)


def tell_story(args, check, folder, open_things):
    emulator = Emulator(folder)
    open_things.callback(emulator.stop)
    emulator.open()
    storage, functions, cloudwatch = map(emulator.client, ("s3", "lambda", "cloudwatch"))
    storage.create_bucket(Bucket=BUCKET)
    storage.put_object(Bucket=BUCKET, Key="checkout.zip", Body=archive(args.checkout, folder))
    outputs = commander(emulator, check)

    body = (DEPLOY / "cloudformation" / "demo.yaml").read_text()
    demo = Stack(emulator, "demo", body, {"CodeBucket": BUCKET, "CodeKey": "checkout.zip", "AlarmTopic": outputs["TopicArn"]})
    check(collections.Counter(one["ResourceType"] for one in demo.resources()) == kinds(body), "demo.yaml: deployed")
    good = demo.outputs()["LiveVersion"]

    def live():
        return functions.get_alias(FunctionName=FUNCTION, Name="live")["FunctionVersion"]

    check(live() == good, f"demo.yaml: the alias serves version {good}")
    described = json.dumps({"StackResources": demo.resources()}, default=str)
    imported = subprocess.run([args.bin, "services", "import", "-"], input=described, capture_output=True, text=True, check=True)
    check('alias = "live"' in imported.stdout and f'name = "{FUNCTION}"' in imported.stdout, "services import: reads the stack")

    order = functions.invoke(FunctionName=FUNCTION, Qualifier="live", Payload='{"order_id": 5}')
    check(json.loads(order["Payload"].read()).get("order_id") == "5" or "FunctionError" in order, "lambda: takes an order")
    refused = functions.invoke(FunctionName=FUNCTION, Qualifier="live", Payload='{"order_id": ""}')
    check("order_id" in json.loads(refused["Payload"].read())["errorMessage"], "lambda: names what it cannot read")

    bot = Bot(args, check, folder, open_things, emulator, outputs["TopicArn"], (outputs["ReadRoleArn"], outputs["WriteRoleArn"]))
    metrics = EmbeddedMetrics(emulator)
    shoppers = Shoppers(emulator)
    open_things.callback(shoppers.stop)
    shoppers.start()
    orders, failed = until("ordinary traffic", lambda: (seen := shoppers.served(good))[0] >= 4 * REQUESTS and seen)
    check(failed < 0.2 * orders, f"lambda: {failed} of {orders} orders fail on an ordinary day")
    # As many as there are now: else the demand rises with the change, and is a cause of its own.
    metrics.remember(REMEMBERED, shoppers.a_minute())
    demo.update(FaultScenario="deployment_config_bug")
    changed = time.time()
    bad = live()
    versions = {one["Version"] for one in functions.list_versions_by_function(FunctionName=FUNCTION)["Versions"]}
    check(bad != good and {good, bad} <= versions, f"demo.yaml: the update publishes version {bad}, moves the alias, and keeps {good}")
    until("two minutes of it", lambda: time.time() > changed + BAD_FOR or shoppers.trouble, within=BAD_FOR + 30)
    orders, failed = shoppers.served(bad)
    # As the alarm of the stack asks.
    check(failed > 0.2 * orders > 0, f"lambda: {failed} of {orders} orders fail since")
    every = orders + shoppers.served(good)[0]
    until("its lines of all orders", lambda: metrics.take() >= every)
    check(True, f"lambda: its log holds metrics of {metrics.orders} orders in the embedded format")

    environment = {**bot.aws, "AWS_REGION": REGION, "PATH": os.environ["PATH"]}
    # Without a configuration: AWS's own naming tells enough.
    command = [args.bin, "investigate", "--service", FUNCTION, "--format", "json"]
    told = json.loads(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)
    check.tell(f"    {told['summary']} {told['gaps'] or ''}")
    blamed = (told["verdict"]["cause"], (told["verdict"]["change"] or {}).get("resource"))
    check(blamed == ("deployment", FUNCTION), f"investigate, without a configuration: {blamed}")

    # The first one told that all is well. The alarm looks at three minutes, of which the first may still be ordinary ones.
    until("the alarm", lambda: metrics.take() and len(bot.relay.deliveries("Notification")) > 1)
    bot.hears_the_alarm(notifications=2)
    bot.blames(FUNCTION, {"db_pool_size": ("10", "5"), "max_concurrent": ("5", "8")})
    # It would be well again within a minute, and close the incident: asked is whether the bot sees by itself that it helped.
    cloudwatch.disable_alarm_actions(AlarmNames=[ALARM])
    undone = bot.rolls_back(functions, FUNCTION, "live", good)

    def recovered():
        metrics.take()
        return bot.slack.of_kind("incident_recovery")

    until("the word about recovery", recovered, within=300)
    bot.sees_recovery(FUNCTION, "live")
    orders, failed = shoppers.served(good, undone)
    check(failed < 0.2 * orders, f"recovery: {failed} of {orders} orders failed since")


if __name__ == "__main__":
    told(tell_story, "--bin", "--slack", "--checkout")
