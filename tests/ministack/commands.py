"""Every command that README, docs/ and the programs' own help show, executed as it stands there.

Usage: commands.py --bin INCIDENT_COMMANDER --slack SLACK_ALONE --aws AWS. Programs of the project are the built ones, AWS is
the emulator, Slack the demo's, `aws` Amazon's own command line. docs/operations.md is run on a machine of its own, with nothing
exported but what the page exports. A command that is not executed here stands below, whole, with the place where it is, or the
reason why nowhere; one that nobody thought of fails the script, and so does a line below that no page needs.
"""

import contextlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import time
import urllib.error
import urllib.request

from bot import SECRET, answer_of, configuration
from emulator import REGION, Emulator, free_port, until
from machine import Machine
from slack import Slack
from story import ALIAS, FUNCTION, SERVICES, deploy, publish, told

ROOT = pathlib.Path(__file__).parents[2]
OPERATIONS = ROOT / "docs" / "operations.md"
TOKEN = "t0ken"
# Seconds for one command.
WITHIN = 120
PROGRAMS = ("incident-commander", "cargo", "python3", "aws", "curl", "terraform", "systemctl", "install", "docker")
TESTS = (".ci/run", "\ncargo test\n")
RELEASE = "tests/soak/release.sh"
# What is executed elsewhere: the file that does it, and its words there.
ELSEWHERE = {
    "cargo test": TESTS,
    "cargo test --lib no_ceiling_changes_which_verdict_it_is": TESTS,
    "cargo test --lib stands_on_its_side_of_a_half": TESTS,
    "cargo test --test it hostile": TESTS,
    "cargo bench --bench bundle_cost": (RELEASE, "cargo bench --bench bundle_cost"),
    "cargo bench --bench bundle_cost [-- --quick]": (RELEASE, "cargo bench --bench bundle_cost"),
    "cargo bench --bench first_verdict": (RELEASE, "cargo bench --bench first_verdict"),
    "cargo bench --bench shifts_change": (RELEASE, "cargo bench --bench shifts_change"),
    "cargo bench --bench storm": (RELEASE, "cargo bench --bench storm\n"),
    "cargo bench --bench storm -- --soak 30": (RELEASE, "cargo bench --bench storm -- --soak 30"),
    "cargo build --profile dist": (RELEASE, "cargo build --profile dist"),
    "cargo build --profile dist --bin incident-commander": (RELEASE, "cargo build --profile dist --bins"),
    "cargo build --release --example slack_alone": (RELEASE, "cargo build --release --example slack_alone"),
    "python3 benches/footprint.py": (RELEASE, "python3 benches/footprint.py"),
    "python3 benches/footprint.py BINARY": (RELEASE, "python3 benches/footprint.py"),
    "cargo build --release --features otel": (".github/workflows/test.yml", "--features otel"),
    "cargo run --release --example metamorphic -- DIR…": ("tests/it/metamorphic/tests.rs", "check("),
    "incident-commander jobs retry 12": ("tests/it/kills/serve.rs", '"jobs", "retry", "99"'),
    "systemctl reload incident-commander": ("tests/deploy-checks/check.py", "ExecReload"),
    "deploy/demo/build.sh deploy/terraform/demo": ("tests/ministack/stacks.py", '"build.sh"'),
    "tests/soak/kills.sh [KILLS]": (".ci/run", "tests/soak/kills.sh 50"),
    "tests/soak/fuzz.sh 60": (".ci/run", "tests/soak/fuzz.sh 60"),
    "tests/soak/guided.sh 3600": (RELEASE, "tests/soak/guided.sh"),
}
ACCOUNT = "wants an account of AWS"
BUCKET = "wants a bucket, and the binary that is handed out; instance.py of tests/deploy-checks takes these files"
STACK = "wants an account of AWS; stacks.py makes the stack, all but its volume"
PUBLISHED = "wants data that others published and the repository does not hold"
# What is executed nowhere, and why.
NOWHERE = {
    "cd deploy/terraform/demo": ACCOUNT,
    "terraform init": ACCOUNT,
    'terraform apply -var="fault_scenario=normal" -var="alarm_topic=arn:aws:sns:eu-central-1:123456789012:alarms"': ACCOUNT,
    'terraform apply -var="fault_scenario=deployment_config_bug" -var="alarm_topic=arn:aws:sns:eu-central-1:123456789012:alarms"': ACCOUNT,
    "terraform apply": ACCOUNT,
    "terraform destroy": ACCOUNT,
    "aws s3 cp /usr/local/bin/incident-commander s3://your-bucket/incident-commander/": BUCKET,
    "aws s3 cp deploy/systemd/incident-commander.service s3://your-bucket/incident-commander/": BUCKET,
    "aws s3 cp --recursive deploy/instance s3://your-bucket/incident-commander/": BUCKET,
    "aws cloudformation deploy --stack-name incident-commander --template-file deploy/cloudformation/commander.yaml "
    "--capabilities CAPABILITY_IAM --parameter-overrides VpcId=vpc-0123 SubnetId=subnet-0123 "
    "AvailabilityZone=eu-central-1a ArtifactBucket=your-bucket": STACK,
    "aws cloudformation describe-stacks --stack-name incident-commander --query 'Stacks[0].Outputs'": STACK,
    "install -m 0755 target/dist/incident-commander /usr/local/bin/": "wants the binary that is handed out; operations.md's is executed",
    "cargo run --release --example without_guilty -- FOLDER": PUBLISHED,
    "cargo bench --bench grouping_accuracy -- FOLDER": PUBLISHED,
    "cargo bench --bench shifts_tcpd -- FOLDER": PUBLISHED,
    "python3 benches/templates_vs_drain3.py FOLDER": PUBLISHED,
    "tests/fresh-debian/run.sh target/dist/incident-commander": "wants root, a Debian from the network, and the binary that is handed out",
    "docker exec commander incident-commander doctor": "wants a container runtime",
    "systemctl status incident-commander": "wants systemd",
}
# What a capital word or a dots stands for.
STANDS_FOR = {
    "--config FILE": "--config commander.toml",
    "metrics shift FILE.csv": "metrics shift p99.csv",
    "alert parse FILE": "alert parse event.json",
    "logs templates FILE": "logs templates app.log",
    "cloudtrail read PATH…": "cloudtrail read ./records",
    "services import FILE": "services import shop.json",
    # What was recorded, which is today.
    "diff checkout 2026-02-06T11:00:00Z 2026-02-06T12:30:00Z": "diff checkout 2026-02-06T11:00:00Z 2126-02-06T12:30:00Z",
    "--bundle DIR": "--bundle ./INC-7",
    "--count 2000 DIR": "--count 2 ./fewer",
    "eval DIR…": "eval ./bundles",
    "eval DIR": "eval ./bundles",
    "eval FOLDER": "eval ./bundles",
    "backup FILE": "backup a-copy.db",
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
        first = span.split()[0]
        script = ROOT / first
        if " " in span and (first in PROGRAMS or (script.is_file() and os.access(script, os.X_OK))):
            yield span


def examples(binary, *path):
    """What the help of each command shows."""
    told = subprocess.run([binary, *path, "--help"], capture_output=True, text=True, check=True).stdout
    shown = re.split(r"\nExamples?:\n", told)[1:]
    for line in "".join(shown).splitlines():
        # `SLACK_BOT_TOKEN=xoxb-…` stands for a token of one's own.
        command = re.sub(r"^(\w+=\S*… )+", "", line.strip())
        if command.startswith("incident-commander "):
            yield command
    below = told.partition("\nCommands:\n")[2].partition("\n\n")[0]
    for name in re.findall(r"^  (\w+) ", below, re.M):
        if name != "help":
            yield from examples(binary, *path, name)


def where_else(command):
    return command in ELSEWHERE or command in NOWHERE


def hold_exemptions(check, shown):
    """Each exemption is of a command that is shown, and is executed where it says."""
    for command, (file, words) in ELSEWHERE.items():
        check(words in (ROOT / file).read_text(), f"{command}: executed by {file}")
    idle = sorted((ELSEWHERE.keys() | NOWHERE.keys()) - shown)
    check(not idle, f"every exemption is of a command that is shown {idle or ''}")


class Shell:
    """A shell in which the project's programs are the built ones, and nobody waits."""

    def __init__(self, folder, args, environment, addresses):
        self.folder, self.addresses = folder, addresses
        programs = folder / "programs"
        programs.mkdir()
        built = pathlib.Path(args.bin).resolve()
        self.write(programs / "incident-commander", f'exec "{built}" "$@"')
        self.write(programs / "aws", f'exec "{pathlib.Path(args.aws).absolute()}" "$@"')
        # `cargo run [--release] [--example NAME] -- …` of what is built already; examples are where Slack's is.
        examples = pathlib.Path(args.slack).resolve().parent
        self.write(
            programs / "cargo",
            f'at="{built}"\nwhile [ "$1" != -- ]; do [ "$1" = --example ] && at="{examples}/$2"; shift; done\n'
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
        return self.execute(script, self.environment)

    def execute(self, script, environment):
        done = subprocess.run(
            ["bash", "-c", script], cwd=self.folder, env=environment, capture_output=True, text=True, timeout=WITHIN
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


def found(url):
    """Whether the bot knows what is asked for."""
    try:
        return bool(answer_of_authorised(url))
    except urllib.error.HTTPError as error:
        if error.code != 404:
            raise
        return False


def operate(check, shell, machine):
    """docs/operations.md, block by block, by somebody who has just logged in: an upgrade, and a restore of what it copied."""
    shell.write(shell.folder / "programs" / "systemctl", f"set -euo pipefail\n{machine.systemctl()}")
    nothing = {name: shell.environment[name] for name in ("PATH", "HOME")}
    first, *rest = shell_blocks(OPERATIONS.read_text())
    exports = [command for command in first if not command.startswith("incident-commander ")]

    def typed(commands, before=()):
        script = "\n".join(["set -euo pipefail", *map(machine.here, [*before, *commands])])
        told = shell.execute(script, nothing)
        for command in commands:
            check(True, command)
        return told

    def alert():
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        post(f"{machine.url}/alert", {"alert": {"service": f"shop-{time.monotonic_ns()}", "triggered_at": now}})

    shell.execute("systemctl start incident-commander", nothing)
    alert()
    check("ok    database" in typed(first), "doctor looks at the service's own database")
    for block in rest:
        typed(block, before=exports)
        if any(command.startswith("incident-commander backup /var/backups/") for command in block):
            # What the copy does not know.
            alert()
            check(found(f"{machine.url}/incidents/INC-2"), "an alert after the copy opens an incident")
    check(found(f"{machine.url}/incidents/INC-1"), "restored: what the copy held is there")
    check(not found(f"{machine.url}/incidents/INC-2"), "restored: what came after it is not")
    owner, folder = ((machine.at / name).stat().st_uid for name in ("lib/incidents.db", "lib"))
    check(owner == folder, "restored: the database belongs to the service's user")
    return {command for block in (first, *rest) for command in block}


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

    machine = Machine(
        folder,
        args.bin,
        configured,
        {
            "slack-bot-token": slack.ids["token"],
            "slack-app-token": slack.ids["app_token"],
            "alert-token": TOKEN,
            "aws-key": "ID=AKIAEXAMPLE\nSECRET=any\n",
        },
        {name: value for name, value in environment.items() if name.startswith("AWS_") or name == "SLACK_API_URL"},
    )
    open_things.callback(machine.end)
    operated = operate(check, shell, machine)
    shell.execute("systemctl stop incident-commander", shell.environment)
    shell.write(folder / "programs" / "systemctl", "echo not on this machine >&2; exit 1")

    serve = "incident-commander serve --config commander.toml"
    with shell.running(serve, health):
        seven_incidents(bot_url)
        check(True, serve)
        pages = [page for page in documents() if page != OPERATIONS]
        shown = [block for page in pages for block in shell_blocks(page.read_text())]
        shown += [[span] for page in documents() for span in spans(page.read_text())]
        shown += [[line] for line in examples(args.bin)]
        # What makes a folder comes first, and what takes away last.
        def turn(block):
            said = " ".join(block)
            return ("incidents delete" in said) - ("export INC-7" in said)

        shown.sort(key=turn)
        hold_exemptions(check, {command for block in shown for command in block})
        seen, elsewhere, served, failures = set(operated), 0, [], []
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
    # With what `services import … >> commander.toml` has added.
    for command in sorted(set(served)):
        with shell.running(command, health):
            check(True, command)
    check.tell(f"    {elsewhere} commands are executed elsewhere, or nowhere for a reason that this script names")


def is_the_demo_alone(command):
    """With a page and no end: it is what the block with the scenario's own commands talks to."""
    return command.endswith(" demo") or command.endswith("-- demo")


if __name__ == "__main__":
    told(run_all, "--bin", "--slack", "--aws", logs=("running.log", "ministack.log"))
