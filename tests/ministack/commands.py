"""Every command that README, docs/ and the programs' own help show, executed as it stands there.

Usage: commands.py --bin INCIDENT_COMMANDER --slack SLACK_ALONE --aws AWS. Programs of the project are the built ones, AWS is
the emulator, Slack the demo's, `aws` Amazon's own command line. A command that is not executed here stands below with the
place where it is, or the reason why nowhere; one that nobody thought of fails the script.
"""

import contextlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import time
import urllib.request

from bot import SECRET, answer_of, configuration
from emulator import REGION, Emulator, free_port, until
from slack import Slack
from story import ALIAS, FUNCTION, SERVICES, deploy, publish, told

ROOT = pathlib.Path(__file__).parents[2]
TOKEN = "t0ken"
# Seconds for one command.
WITHIN = 120
PROGRAMS = ("incident-commander", "cargo", "python3", "aws", "curl", "terraform", "systemctl", "install", "docker")
# What is executed elsewhere, by the beginning or the middle of its line.
ELSEWHERE = {
    "cargo test": ".ci/run",
    "cargo bench": "before a release, on a quiet machine: figures and not outcomes",
    "benches/": "before a release, on a quiet machine: figures and not outcomes",
    "cargo build --profile dist": "the release workflow and the Dockerfile",
    "--features otel": ".github/workflows/test.yml",
    "--example metamorphic": "tests/it/metamorphic",
    "--example fuzz": "tests/soak/fuzz.sh",
    "--count 2000": "the same with a seed of fewer incidents, in this script",
    "--example without_guilty": "wants data that is not part of the repository",
    "tests/soak/": ".ci/run",
    "tests/ministack/": ".ci/run",
    "tests/fresh-debian/": "before a release: wants root and a Debian",
    "deploy/demo/build.sh": "stacks.py",
    "jobs retry 12": "src/cli/jobs.rs: here no job is put aside",
    "--bin demo-checkout-service": "tests/it/checkout.rs, by the same options",
}
# What is executed nowhere, and why.
NOWHERE = {
    "terraform init": "wants an account",
    "terraform apply": "wants an account",
    "terraform destroy": "wants an account",
    "cd deploy/terraform": "wants an account",
    "aws s3 cp": "wants a bucket, whose files instance.py of tests/deploy-checks takes",
    "--stack-name incident-commander": "wants an account; stacks.py makes the stack, all but its volume",
    "systemctl": "changes the machine",
    "install ": "changes the machine",
    "docker ": "wants a container runtime",
    "litestream": "another project's program",
    "cargo clippy": ".ci/run",
    "cargo fmt": ".ci/run",
}
# What a capital word or a dots stands for.
STANDS_FOR = {
    "--config FILE": "--config commander.toml",
    "metrics shift FILE.csv": "metrics shift p99.csv",
    "alert parse FILE": "alert parse event.json",
    "logs templates FILE": "logs templates app.log",
    "cloudtrail read PATH…": "cloudtrail read ./records",
    "services import FILE": "services import shop.json",
    "diff SERVICE FROM TO": "diff checkout 2026-02-06T11:00:00Z 2026-02-06T12:30:00Z",
    "--bundle DIR": "--bundle ./INC-7",
    "eval DIR…": "eval ./bundles",
    "eval DIR": "eval ./bundles",
    "eval FOLDER": "eval ./bundles",
    "backup FILE": "backup a-copy.db",
    "/var/backups/": "./",
    "/etc/incident-commander/": "./",
}


def documents():
    return [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def shell_blocks(text):
    """Fenced blocks of shell, as lists of whole commands: continued lines and loops are one."""
    for inside in re.findall(r"^```sh\n(.*?)^```", text, re.M | re.S):
        commands, open_loops = [], 0
        for line in inside.replace("\\\n", " ").splitlines():
            line = re.sub(r"\s+# .*$| {2,}(?=\S)", " ", line).strip()
            if not line:
                continue
            if open_loops:
                commands[-1] += f"\n{line}"
            else:
                commands.append(line)
            open_loops += line.startswith("for ") - (line == "done")
        yield commands


def spans(text):
    """Commands in running text: what stands in backticks and begins with a program."""
    prose = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    for span in re.findall(r"`([^`]+)`", prose):
        span = " ".join(span.split())
        if " " in span and span.split()[0] in PROGRAMS:
            yield span


def examples(binary, *path):
    """What the help of each command shows."""
    told = subprocess.run([binary, *path, "--help"], capture_output=True, text=True, check=True).stdout
    for line in told.partition("\nExamples:\n")[2].splitlines():
        if line.strip().startswith("incident-commander "):
            yield line.strip()
    below = told.partition("\nCommands:\n")[2].partition("\n\n")[0]
    for name in re.findall(r"^  (\w+) ", below, re.M):
        if name != "help":
            yield from examples(binary, *path, name)


def where_else(command):
    for known in (ELSEWHERE, NOWHERE):
        for part, where in known.items():
            if part in command:
                return where
    return None


class Shell:
    """A shell in which the project's programs are the built ones, and nobody waits."""

    def __init__(self, folder, args, environment, addresses):
        self.folder, self.addresses = folder, addresses
        programs = folder / "programs"
        programs.mkdir()
        built = pathlib.Path(args.bin).resolve()
        self.write(programs / "incident-commander", f'exec "{built}" "$@"')
        self.write(programs / "aws", f'exec "{pathlib.Path(args.aws).absolute()}" "$@"')
        # `cargo run [--release] [--example NAME] -- …` of what is built already.
        self.write(
            programs / "cargo",
            f'at="{built}"\nwhile [ "$1" != -- ]; do [ "$1" = --example ] && at="{built.parent}/examples/$2"; shift; done\n'
            'shift; exec "$at" "$@"',
        )
        self.write(programs / "sleep", "exit 0")
        self.environment = {**environment, "PATH": f"{programs}:{os.environ['PATH']}", "HOME": str(folder)}

    @staticmethod
    def write(path, script):
        path.write_text(f"#!/bin/bash\n{script}\n")
        path.chmod(0o755)

    def adapted(self, command):
        command = re.sub(r" \[--[^\]]*\]", "", command)
        for said, stands_for in [*STANDS_FOR.items(), *self.addresses.items()]:
            command = command.replace(said, stands_for)
        return command

    def run(self, commands):
        """The commands of one block, in one shell that stops at the first that fails."""
        script = "set -euo pipefail\n" + "\n".join(map(self.adapted, commands))
        if "SLACK_BOT_TOKEN_FILE" in script:
            script = f"unset SLACK_BOT_TOKEN\n{script}"
        done = subprocess.run(
            ["bash", "-c", script], cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=WITHIN
        )
        if done.returncode:
            raise AssertionError(f"ends with {done.returncode}:\n{script}\n{done.stdout[-1500:]}\n{done.stderr[-1500:]}")
        return done.stdout

    @contextlib.contextmanager
    def running(self, command, health, environment=None):
        """A command that goes on until it is told to stop, and then ends well."""
        without = "env -u SLACK_BOT_TOKEN " if "SLACK_BOT_TOKEN_FILE" in command else "env "
        script = f"exec {without}{self.adapted(command)}"
        process = subprocess.Popen(
            ["bash", "-c", script],
            cwd=self.folder,
            env={**self.environment, **(environment or {})},
            stdout=subprocess.DEVNULL,
            stderr=open(self.folder / "running.log", "wb"),
        )

        def answers():
            if process.poll() is not None:
                raise AssertionError(f"{command} ended with {process.returncode}")
            return answer_of(health)

        try:
            until(command, answers)
            yield
        finally:
            process.terminate()
            process.wait(30)
        if process.returncode:
            raise AssertionError(f"{command}: told to stop, it ended with {process.returncode}")


def things_to_read(folder):
    """The files that the commands name."""
    (folder / "app.log").write_text("".join(f"INFO order {n} took {n % 7} ms\n" for n in range(200)))
    rows = (f"2026-02-06T{11 + minute // 60}:{minute % 60:02}:00Z,{120 if minute < 60 else 480}" for minute in range(120))
    (folder / "p99.csv").write_text("time,value\n" + "\n".join(rows) + "\n")
    (folder / "event.json").write_text(json.dumps({"text": "FIRING: checkout error rate above 5 %"}))
    (folder / "message.json").write_text(json.dumps({"username": "Lighthouse", "text": "basket-api burns its error budget"}))
    (folder / "records").mkdir()
    record = {"eventName": "UpdateAlias20150331", "eventSource": "lambda.amazonaws.com", "eventTime": "2026-02-06T12:00:00Z"}
    record |= {"eventID": "e-1", "requestParameters": {"functionName": FUNCTION, "name": ALIAS}, "awsRegion": REGION}
    (folder / "records" / "one.json").write_text(json.dumps({"Records": [record]}))


def post(url, body):
    request = urllib.request.Request(
        url, data=json.dumps(body).encode(), headers={"Authorization": f"Bearer {TOKEN}"}, method="POST"
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.loads(answer.read())


def seven_incidents(bot_url):
    """INC-7 is the one that the documents talk of: it is told and closed."""
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    for number in range(1, 7):
        post(f"{bot_url}/alert", {"alert": {"service": f"shop-{number}", "triggered_at": now}})
    last = {"service": FUNCTION, "triggered_at": now}
    told = post(f"{bot_url}/alert?wait=60", {"alert": last})
    if told["incident"] != "INC-7":
        raise AssertionError(f"not the seventh: {told}")

    def verdicts():
        incidents = [json.loads(answer_of_authorised(f"{bot_url}/incidents/INC-{number}")) for number in range(1, 8)]
        return all(incident["verdict"] for incident in incidents)

    until("seven verdicts", verdicts)
    post(f"{bot_url}/alert", {"alert": {**last, "state": "resolved"}})
    until("it is resolved", lambda: json.loads(answer_of_authorised(f"{bot_url}/incidents/INC-7"))["state"] == "resolved")


def answer_of_authorised(url):
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {TOKEN}"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return answer.read()


def run_all(args, check, folder, open_things):
    emulator = Emulator(folder)
    open_things.callback(emulator.stop)
    emulator.open()
    functions, iam, formation = map(emulator.client, ("lambda", "iam", "cloudformation"))
    role = iam.create_role(RoleName="any", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    deploy(functions, role)
    publish(functions, {"DB_POOL_SIZE": "5"})
    stack = {"Resources": {"Orders": {"Type": "AWS::SQS::Queue"}}}
    formation.create_stack(StackName="shop", TemplateBody=json.dumps(stack))

    bot_url = f"http://127.0.0.1:{free_port()}"
    slack = Slack(args.slack, bot_url, SECRET, "--socket-mode")
    open_things.callback(slack.stop)
    configuration(folder, slack.ids, "arn:aws:sns:us-east-1:123456789012:alarms", role, role, SERVICES)
    configured = (folder / "commander.toml").read_text()
    (folder / "bot-token").write_text(slack.ids["token"])
    (folder / "app-token").write_text(slack.ids["app_token"])
    demo_port = free_port()
    environment = {
        "AWS_ACCESS_KEY_ID": "commander",
        "AWS_SECRET_ACCESS_KEY": "any",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ENDPOINT_URL": emulator.url,
        "SLACK_API_URL": slack.ids["api"],
        "SLACK_BOT_TOKEN": slack.ids["token"],
        "SLACK_SIGNING_SECRET": SECRET,
        "DATABASE_URL": f"sqlite://{folder}/commander.db",
        "COMMANDER_LISTEN": bot_url.removeprefix("http://"),
        "COMMANDER_ALERT_TOKEN": TOKEN,
    }
    addresses = {
        "https://commander.example": bot_url,
        "127.0.0.1:3000": f"127.0.0.1:{demo_port}",
        "127.0.0.1:3001": f"127.0.0.1:{demo_port + 1}",
    }
    shell = Shell(folder, args, environment, addresses)
    things_to_read(folder)
    shell.run(["cargo run --example generate_incidents -- --seed 7 --count 3 bundles"])
    health = f"{bot_url}/healthz"

    serve = "incident-commander serve --config commander.toml"
    with shell.running(serve, health):
        seven_incidents(bot_url)
        check(True, serve)
        shown = [block for page in documents() for block in shell_blocks(page.read_text())]
        shown += [[span] for page in documents() for span in spans(page.read_text())]
        shown += [[line] for line in examples(args.bin)]
        # What makes a folder comes first, and what takes away last.
        def turn(block):
            said = " ".join(block)
            return ("incidents delete" in said) - ("export INC-7" in said)

        shown.sort(key=turn)
        seen, elsewhere, served, failures = set(), 0, [], []
        for block in shown:
            here = []
            for command in block:
                if " serve" in command and "incident-commander" in command:
                    served.append(command)
                elif where_else(command):
                    elsewhere += 1
                elif "terraform show" in command and not shutil.which("terraform"):
                    check.tell("    no terraform on this machine: its state is an empty one")
                    (folder / "state.json").write_text('{"format_version": "1.0"}')
                elif command not in seen and not is_the_demo_alone(command):
                    here.append(command)
                seen.add(command)
            if not here:
                continue
            try:
                if any("COMMANDER_URL" in command for command in here):
                    demo = f"127.0.0.1:{demo_port}"
                    with shell.running(f"incident-commander demo --addr {demo}", f"http://{demo}/healthz"):
                        shell.run(here)
                else:
                    shell.run(here)
            except (AssertionError, subprocess.TimeoutExpired) as failure:
                failures.append(str(failure))
                continue
            for command in here:
                check(True, command.splitlines()[0])
        # All that fail are told at once: each was run by itself.
        check(not failures, "\n".join(failures) or "none failed")
    # `services import … >> commander.toml` has named some services once more.
    (folder / "commander.toml").write_text(configured)
    for command in sorted(set(served)):
        with shell.running(command, health):
            check(True, command)
    check.tell(f"    {elsewhere} commands are executed elsewhere, or nowhere for a reason that this script names")


def is_the_demo_alone(command):
    """With a page and no end: it is what the block with the scenario's own commands talks to."""
    return command.endswith(" demo") or command.endswith("-- demo")


if __name__ == "__main__":
    told(run_all, "--bin", "--slack", "--aws", logs=("running.log", "ministack.log"))
