"""Holds deploy/ against the linters of its formats, and its policies against deploy/iam-*.json.

Usage: python check.py (in an environment with requirements.txt). Prints a line a check; exits 1 where one fails.
"""

import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

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

sys.exit(1 if failed else 0)
