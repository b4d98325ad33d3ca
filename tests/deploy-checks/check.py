"""Holds deploy/ against the linters of its formats, and its policies against deploy/iam-*.json.

Usage: python check.py (in an environment with requirements.txt). Prints a line a check; exits 1 where one fails.
"""

import collections
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

import hcl2
from cfnlint.decode import cfn_yaml

DEPLOY = pathlib.Path(__file__).resolve().parents[2] / "deploy"
BIN = pathlib.Path(sys.executable).parent
failed = 0


def check(what, problem):
    global failed
    failed += bool(problem)
    print(f"{'FAILED' if problem else 'ok'}: {what}{': ' + problem if problem else ''}")


def run(*command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else (done.stdout + done.stderr).strip() or f"exit {done.returncode}"


def actions(file):
    return json.loads((DEPLOY / file).read_text())["Statement"][0]["Action"]


check("Dockerfile by hadolint", run(BIN / "hadolint", DEPLOY / "Dockerfile"))

templates = sorted((DEPLOY / "cloudformation").glob("*.yaml"))
for template in templates:
    check(f"{template.name} by cfn-lint", run(BIN / "cfn-lint", template))

resources = cfn_yaml.load(str(DEPLOY / "cloudformation" / "commander.yaml"))["Resources"]
for role, file in {"ReadRole": "iam-read.json", "WriteRole": "iam-write.json"}.items():
    granted = resources[role]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"][0]["Action"]
    differ = set(granted) ^ set(actions(file))
    check(f"{role} grants what {file} grants", ", ".join(sorted(differ)))
boundary = resources["WriteBoundary"]["Properties"]["PolicyDocument"]["Statement"][0]["Action"]
check("the boundary allows what is written and no more", ", ".join(sorted(set(boundary) ^ set(actions("iam-write.json")))))

# What CloudFormation calls a resource, and what Terraform calls the same; None: written inside another one.
SAME = {
    "AWS::SecretsManager::Secret": "aws_secretsmanager_secret",
    "AWS::IAM::Role": "aws_iam_role",
    "AWS::IAM::ManagedPolicy": "aws_iam_policy",
    "AWS::IAM::InstanceProfile": "aws_iam_instance_profile",
    "AWS::EC2::Volume": "aws_ebs_volume",
    "AWS::EC2::SecurityGroup": "aws_security_group",
    "AWS::EC2::LaunchTemplate": "aws_launch_template",
    "AWS::AutoScaling::AutoScalingGroup": "aws_autoscaling_group",
    "AWS::SNS::Topic": "aws_sns_topic",
    "AWS::SNS::TopicPolicy": "aws_sns_topic_policy",
    "AWS::SNS::Subscription": "aws_sns_topic_subscription",
    "AWS::Events::Rule": "aws_cloudwatch_event_rule",
    "AWS::Logs::LogGroup": "aws_cloudwatch_log_group",
    "AWS::Lambda::Function": "aws_lambda_function",
    "AWS::Lambda::Alias": "aws_lambda_alias",
    "AWS::Lambda::Url": "aws_lambda_function_url",
    "AWS::Lambda::Permission": "aws_lambda_permission",
    "AWS::CloudWatch::Alarm": "aws_cloudwatch_metric_alarm",
    "AWS::IAM::Policy": None,
    # `publish = true` of the function.
    "AWS::Lambda::Version": None,
}
# What Terraform writes as resources of their own and CloudFormation inside roles and rules.
INSIDE = {"aws_iam_role_policy", "aws_iam_role_policy_attachment", "aws_cloudwatch_event_target"}
# What the two cannot call the same: CloudFormation takes an image by a parameter's type, and an archive from a bucket only.
RENAMED = {"image_id": "image_parameter", "code_bucket": "code_archive", "code_key": "code_archive"}


def snake(name):
    word = re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
    return RENAMED.get(word, word)


def compare(name):
    """The stack and the module of one name, resource by resource and parameter by parameter."""
    template = cfn_yaml.load(str(DEPLOY / "cloudformation" / f"{name}.yaml"))
    declared, words = collections.Counter(), ""
    for file in sorted((DEPLOY / "terraform" / name).glob("*.tf")):
        words += file.read_text()
        try:
            for resource in hcl2.loads(file.read_text()).get("resource", []):
                declared[next(iter(resource)).strip('"')] += 1
        except Exception as error:  # the parser's own kinds of error are many
            check(f"{name}/{file.name} is HCL", str(error).splitlines()[0])
    unknown = sorted({r["Type"] for r in template["Resources"].values()} - set(SAME))
    check(f"{name}: each resource of the stack has its like in Terraform", ", ".join(unknown))
    stack = collections.Counter(SAME.get(r["Type"]) for r in template["Resources"].values())
    differ = [
        f"{kind}: {stack[kind]} and {declared[kind]}"
        for kind in sorted((set(stack) | set(declared)) - INSIDE - {None})
        if stack[kind] != declared[kind]
    ]
    check(f"{name}: both deployments hold the same resources", ", ".join(differ))
    variables = set(re.findall(r'^variable "(\w+)"', words, re.M))
    check(f"{name}: both ask for the same", ", ".join(sorted({snake(word) for word in template["Parameters"]} ^ variables)))


for template in templates:
    compare(template.stem)
if shutil.which("terraform"):
    check("terraform fmt", run("terraform", "fmt", "-check", "-recursive", DEPLOY / "terraform"))
else:
    print("skipped: no terraform on this machine")

ROOT = DEPLOY.parent
for script in [*sorted(DEPLOY.rglob("*.sh")), ROOT / "tests" / "fresh-debian" / "run.sh", ROOT / ".ci" / "run"]:
    check(f"{script.name} by shellcheck", run(BIN / "shellcheck", script))

workflows = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
check("workflows by their schema", run(BIN / "check-jsonschema", "--builtin-schema", "vendor.github-workflows", *workflows))

if shutil.which("systemd-analyze"):
    # The binary need not be installed here: any program in its place tells whether the unit is sound.
    unit = (DEPLOY / "systemd" / "incident-commander.service").read_text()
    with tempfile.TemporaryDirectory() as folder:
        copy = pathlib.Path(folder) / "incident-commander.service"
        copy.write_text(unit.replace("/usr/local/bin/incident-commander", "/bin/true"))
        check("the unit by systemd-analyze verify", run("systemd-analyze", "verify", copy))
        check(
            "the unit's exposure is below 2.0",
            run("systemd-analyze", "security", "--offline=true", "--threshold=20", copy),
        )
else:
    print("skipped: no systemd-analyze on this machine")


def rotated(unit):
    """What is wrong with the files that the bot reads after a start, a rotation and a reload, as the unit orders them."""
    with tempfile.TemporaryDirectory() as folder:
        given, kept, read = (pathlib.Path(folder) / name for name in ("credentials", "secrets", "run/incident-commander"))
        for place in (given, kept, read):
            place.mkdir(parents=True)
        if os.geteuid() == 0:
            os.chown(read, 10001, 10001)  # as DynamicUser makes one up
        (given / "alert-token").write_text("old")
        (kept / "alert-token").write_text("new")

        def order(name):
            line = re.search(rf"^{name}=\+?(.*)$", unit, re.M).group(1)
            for place, ours in (("%t", read.parent), ("%d", given), ("/etc/incident-commander/secrets", kept), ("$$", "$")):
                line = line.replace(place, str(ours))
            return run(*shlex.split(line))

        token = read / "alert-token"
        for name, expected in (("ExecStartPre", "old"), ("ExecReload", "new")):
            if (wrong := order(name)) or (wrong := "" if token.read_text() == expected else f"the token is {token.read_text()}"):
                return f"{name}: {wrong}"
        about, left = token.stat(), [file.name for file in read.iterdir() if file != token]
        if about.st_uid != read.stat().st_uid or about.st_mode & 0o777 != 0o400 or left:
            return f"owner {about.st_uid}, mode {about.st_mode:o}, left behind: {left}"
    return ""


check("a rotated secret is handed on by a reload", rotated((DEPLOY / "systemd" / "incident-commander.service").read_text()))

sys.exit(1 if failed else 0)
