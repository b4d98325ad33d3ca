"""Services whose changes are of other kinds: found and diffed, undone and taken back by the bot's own steps.

What the account holds afterwards is asked of the emulator itself.
"""

import json
import os
import pathlib
import subprocess
import time

from emulator import until, zipped

CLUSTER = "prod"
HANDLER = pathlib.Path(__file__).parent / "handler.py"
OLD, NEW = "50", "5"

CONFIGURATION = """
[[service]]
name = "refunds"
ecs = [{ cluster = "prod", service = "refunds" }]

[[service]]
name = "search"
ssm_paths = ["/search/"]

[[service]]
name = "cart"
appconfig = [{ application = "cart", environment = "prod", profile = "limits" }]
"""


class Kinds:
    """Makes every resource as it was, and changes it."""

    def __init__(self, emulator, role):
        self.functions, self.ecs, self.ssm = map(emulator.client, ("lambda", "ecs", "ssm"))
        self.appconfig, self.served = map(emulator.client, ("appconfig", "appconfigdata"))
        self.functions.create_function(
            FunctionName="mail",
            Runtime="python3.11",
            Role=role,
            Handler="handler.handler",
            Timeout=30,
            Code={"ZipFile": zipped(HANDLER)},
            Environment={"Variables": {"LIMIT": OLD, "KEPT": "yes"}},
        )
        self.functions.get_waiter("function_active_v2").wait(FunctionName="mail")
        version = self.functions.publish_version(FunctionName="mail")["Version"]
        self.functions.create_alias(FunctionName="mail", Name="live", FunctionVersion=version)
        self.ecs.create_cluster(clusterName=CLUSTER)
        self.ecs.create_service(
            cluster=CLUSTER, serviceName="refunds", taskDefinition=self.register(OLD), desiredCount=1
        )
        self.ssm.put_parameter(Name="/search/limit", Value=OLD, Type="String")
        self.application = self.appconfig.create_application(Name="cart")["Id"]
        self.environment = self.appconfig.create_environment(ApplicationId=self.application, Name="prod")["Id"]
        self.profile = self.appconfig.create_configuration_profile(
            ApplicationId=self.application, Name="limits", LocationUri="hosted"
        )["Id"]
        self.strategy = self.appconfig.create_deployment_strategy(
            Name="at-once", DeploymentDurationInMinutes=0, GrowthFactor=100, FinalBakeTimeInMinutes=0, ReplicateTo="NONE"
        )["Id"]
        self.deploy(OLD)
        self.made = time.time()

    def register(self, limit):
        container = {"name": "app", "image": "refunds:1", "memory": 128, "environment": [{"name": "LIMIT", "value": limit}]}
        answer = self.ecs.register_task_definition(family="refunds", containerDefinitions=[container])
        return answer["taskDefinition"]["taskDefinitionArn"]

    def deploy(self, limit):
        version = self.appconfig.create_hosted_configuration_version(
            ApplicationId=self.application,
            ConfigurationProfileId=self.profile,
            Content=json.dumps({"LIMIT": limit}).encode(),
            ContentType="application/json",
        )["VersionNumber"]
        self.appconfig.start_deployment(
            ApplicationId=self.application,
            EnvironmentId=self.environment,
            DeploymentStrategyId=self.strategy,
            ConfigurationProfileId=self.profile,
            ConfigurationVersion=str(version),
        )

    def change(self):
        # CloudTrail's times are whole seconds: what was changed in the second in which it was made has no order.
        until("another second", lambda: time.time() > self.made + 2)
        self.ecs.update_service(cluster=CLUSTER, service="refunds", taskDefinition=self.register(NEW))
        self.ssm.put_parameter(Name="/search/limit", Value=NEW, Type="String", Overwrite=True)
        self.deploy(NEW)
        environment = {"Variables": {"LIMIT": NEW, "KEPT": "yes"}}
        self.functions.update_function_configuration(FunctionName="mail", Environment=environment)
        self.functions.update_function_configuration(FunctionName="mail", Timeout=5)
        version = self.functions.publish_version(FunctionName="mail")["Version"]
        self.functions.update_alias(FunctionName="mail", Name="live", FunctionVersion=version)
        self.functions.put_function_concurrency(FunctionName="mail", ReservedConcurrentExecutions=5)

    def now(self, kind):
        """The value that the account holds, of the one that was changed."""
        return getattr(self, f"now_{kind}")()

    def now_ecs(self):
        (service,) = self.ecs.describe_services(cluster=CLUSTER, services=["refunds"])["services"]
        definition = self.ecs.describe_task_definition(taskDefinition=service["taskDefinition"])["taskDefinition"]
        return definition["containerDefinitions"][0]["environment"][0]["value"]

    def now_ssm(self):
        return self.ssm.get_parameter(Name="/search/limit")["Parameter"]["Value"]

    def now_appconfig(self):
        """What a client is given."""
        token = self.served.start_configuration_session(
            ApplicationIdentifier=self.application,
            EnvironmentIdentifier=self.environment,
            ConfigurationProfileIdentifier=self.profile,
        )["InitialConfigurationToken"]
        content = self.served.get_latest_configuration(ConfigurationToken=token)["Configuration"].read()
        return json.loads(content)["LIMIT"]

    def now_environment(self):
        variables = self.functions.get_function_configuration(FunctionName="mail")["Environment"]["Variables"]
        return variables["LIMIT"] if variables["KEPT"] == "yes" else variables

    def now_settings(self):
        return str(self.functions.get_function_configuration(FunctionName="mail")["Timeout"])

    def now_share(self):
        """Of a small test: what goes to the earlier version."""
        alias = self.functions.get_alias(FunctionName="mail", Name="live")
        return str(alias.get("RoutingConfig", {}).get("AdditionalVersionWeights", {}))

    def now_concurrency(self):
        return str(self.functions.get_function_concurrency(FunctionName="mail").get("ReservedConcurrentExecutions"))


# Kind, service, the call that undoes it, old and new value. These are found by the bot.
FOUND = [
    ("ecs", "refunds", "ecs:UpdateService", OLD, NEW),
    ("ssm", "search", "ssm:PutParameter", OLD, NEW),
    ("appconfig", "cart", "appconfig:StopDeployment", OLD, NEW),
]
# Kind, the step as it is given to the bot, old and new value: only CloudTrail shows these changes, and the emulator's
# records name no function.
GIVEN = [
    (
        "environment",
        {"kind": "lambda_configuration", "function": "mail", "keys": {"LIMIT": [NEW, OLD]}, "revision_id": ""},
        OLD,
        NEW,
    ),
    (
        "settings",
        {"kind": "lambda_configuration", "function": "mail", "settings": {"Timeout": ["5", "30"]}, "revision_id": ""},
        "30",
        "5",
    ),
    ("concurrency", {"kind": "lambda_concurrency", "function": "mail", "from": 5, "to": None}, "None", "5"),
    (
        "share",
        {
            "kind": "lambda_alias",
            "function": "mail",
            "alias": "live",
            "from_version": "2",
            "to_version": "2",
            "from_weights": {},
            "to_weights": {"1": 0.05},
            "revision_id": "",
        },
        "{'1': 0.05}",
        "{}",
    ),
]


def run(binary, config, environment, *arguments):
    """What the example prints, one object a line."""
    done = subprocess.run(
        [binary, "--config", config, *arguments], env={**os.environ, **environment}, stdout=subprocess.PIPE, text=True, timeout=120
    )
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(arguments)}: exit code {done.returncode}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def roll_back_all(kinds, check, binary, config, environment):
    backs = []
    changes = run(binary, config, environment, *[service for _, service, *_ in FOUND])
    for kind, service, call, old, new in FOUND:
        found = next(
            (one for one in changes if one["service"] == service and [key[1:] for key in one["keys"]] == [[old, new]]), None
        )
        check(found, f"{kind}: the change of {service} is found, with {old} before and {new} after it")
        undone = found["undone"]
        check(undone.get("call") == call and kinds.now(kind) == old, f"{kind}: undone by {call}, read back")
        backs.append((kind, undone["back"], new))
    for kind, target, old, new in GIVEN:
        (answer,) = run(binary, config, environment, "--target", json.dumps(target))
        check("call" in answer["undone"] and kinds.now(kind) == old, f"{kind}: undone, read back")
        backs.append((kind, answer["undone"]["back"], new))
    given = [argument for _, back, _ in backs for argument in ("--target", json.dumps(back))]
    taken = run(binary, config, environment, *given)
    check(
        len(taken) == len(backs) and all(kinds.now(kind) == new for kind, _, new in backs),
        "all seven are taken back, read back",
    )
