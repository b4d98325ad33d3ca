"""Holds deploy/ and the workflows against the linters of their formats, against each other, and against what they promise.

Usage: python check.py (in an environment with requirements.txt). Prints a line a check; exits 1 where one fails.
"""

import functools
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import tomllib

import yaml
from cfnlint.decode import cfn_yaml

import deployments
import instance
import provider

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
BIN = pathlib.Path(sys.executable).parent
failed = 0


def check(what, problem):
    global failed
    failed += bool(problem)
    print(f"{'FAILED' if problem else 'ok'}: {what}{': ' + problem if problem else ''}", flush=True)


def run(*command, **options):
    """Nothing where it ends well, else what it said."""
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False, **options)
    return "" if done.returncode == 0 else (done.stdout + done.stderr).strip() or f"exit {done.returncode}"


def is_there(program):
    """What is missing fails where CI is set: nobody reads there that something was skipped."""
    if shutil.which(program):
        return True
    if os.environ.get("CI"):
        check(program, "not on this machine")
    else:
        print(f"skipped: no {program} on this machine")
    return False


def policies():
    """Each action stands once in the stack and once in a file that the module reads, and that a test holds against the code."""
    resources = cfn_yaml.load(str(DEPLOY / "cloudformation" / "commander.yaml"))["Resources"]
    reads = resources["ReadRole"]["Properties"]["Policies"][0]["PolicyDocument"]
    writes = resources["WriteBoundary"]["Properties"]["PolicyDocument"]
    for document, file in ((reads, "iam-read.json"), (writes, "iam-write.json")):
        same = document == json.loads((DEPLOY / file).read_text())
        check(f"commander.yaml grants what {file} grants", "" if same else "they differ")
    writer = resources["WriteRole"]["Properties"]
    limited = writer["ManagedPolicyArns"] == [writer["PermissionsBoundary"]] and "Policies" not in writer
    check("the writing role is granted its boundary and nothing beside it", "" if limited else "it is not")


def both_deployments():
    with tempfile.TemporaryDirectory() as folder:
        copy = pathlib.Path(folder) / "deploy"
        shutil.copytree(DEPLOY, copy)
        schema = provider.Schema(provider.wheel(folder))

        def unlike(name, deploy):
            return list(provider.problems(schema, deploy / "terraform" / name))

        for name in deployments.PAIRS:
            check(f"{name}: stack and module make the same, property by property", "; ".join(deployments.compare(name)))
            check(f"{name}: the module by the provider's schema", "; ".join(unlike(name, DEPLOY)))
        for what, mistakes, finds in (
            ("comparison", deployments.MISTAKES, deployments.compare),
            ("schema", provider.MISTAKES, unlike),
        ):
            check(f"each of {len(mistakes)} mistakes is found by the {what}", "; ".join(deployments.overlooked(copy, mistakes, finds)))


def terraform():
    if not is_there("terraform"):
        return
    check("terraform fmt", run("terraform", "fmt", "-check", "-recursive", DEPLOY / "terraform"))
    with tempfile.TemporaryDirectory() as folder:
        copy = pathlib.Path(folder) / "deploy"
        shutil.copytree(DEPLOY, copy)
        for module in sorted((copy / "terraform").iterdir()):
            here = f"-chdir={module}"
            begun = run("terraform", here, "init", "-backend=false", "-input=false", "-no-color")
            if "could not connect to registry.terraform.io" in " ".join(begun.split()):
                print(f"skipped: terraform validate of {module.name}: Terraform's registry, which has the provider, is not reached")
                continue
            check(f"terraform init of {module.name}", begun)
            check(f"terraform validate of {module.name}", run("terraform", here, "validate", "-no-color"))


def release():
    """The workflow's own lines: a tag of this version passes, another does not, and its notes hold something."""
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "release.yml").read_text())["jobs"]

    def step(job, name):
        return next(one["run"] for one in jobs[job]["steps"] if one.get("name") == name)

    version = tomllib.loads((ROOT / "Cargo.toml").read_text())["package"]["version"]
    tag = functools.partial(run, "bash", "-ec", step("build", "The tag is the version"), cwd=ROOT)
    check(f"a tag v{version} would be released", tag(env={**os.environ, "GITHUB_REF_NAME": f"v{version}"}))
    other = tag(env={**os.environ, "GITHUB_REF_NAME": f"v{version}0"})
    check("a tag of another version would not", "" if other else "it would")
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "out").mkdir()
        (folder / "out" / "archive.tar.gz").write_text("")
        shutil.copy(ROOT / "CHANGELOG.md", folder)
        (folder / "gh").write_text("#!/bin/sh\n")
        (folder / "gh").chmod(0o755)
        environment = {**os.environ, "GITHUB_REF_NAME": f"v{version}", "PATH": f"{folder}:{os.environ['PATH']}"}
        problem = run("bash", "-ec", step("publish", "Publish"), cwd=folder, env=environment)
        if not problem:
            notes = (folder / "notes.md").read_text()
            problem = "" if notes.count("\n- ") > 0 and "## " not in notes else "they are empty, or tell of other versions"
        check("its notes are this version's part of CHANGELOG.md", problem)


def secrets():
    """What the unit and the head of the Dockerfile say of secrets: whoever follows either gives the bot the same."""
    unit = (DEPLOY / "systemd" / "incident-commander.service").read_text()
    head = (DEPLOY / "Dockerfile").read_text().partition("\nFROM ")[0]
    wanted = set(re.findall(r"^Environment=(\w+)_FILE=%t/incident-commander/([\w-]+)$", unit, re.M))
    loaded = set(re.findall(r"^LoadCredential=([\w-]+):/etc/incident-commander/secrets/\1$", unit, re.M))
    put = set(re.findall(r"^#   install .* /etc/incident-commander/secrets/([\w-]+)$", unit, re.M))
    names = {file for _, file in wanted}
    check("each secret of the unit is put into its place by the commands above it", ", ".join((names ^ loaded) | (names ^ put)))
    given = set(re.findall(r" -e (\w+)_FILE=/run/secrets/([\w-]+)", head))
    mounted = set(re.findall(r"^#   install .* secrets/([\w-]+)$", head, re.M))
    check("the container is given the same secrets", ", ".join(map(str, (given ^ wanted) | (mounted ^ names))))


def quiet(*command):
    """Like `run`, for a program that takes what it does not know for a reason to warn and no more."""
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    unknown = [line for line in (done.stdout + done.stderr).splitlines() if "ignoring" in line]
    return "; ".join(unknown) or ("" if done.returncode == 0 else (done.stdout + done.stderr).strip())


def units(folder):
    """`folder` is the disk of a machine that deploy/instance made into the bot's."""
    generator = pathlib.Path("/usr/lib/systemd/system-generators/systemd-fstab-generator")
    if not is_there("systemd-analyze"):
        return
    made = folder / "mounts"
    made.mkdir()
    problem = run(generator, made, made, made, env={**os.environ, "SYSTEMD_FSTAB": str(folder / "etc" / "fstab")})
    needs = [file.name for file in (made / "local-fs.target.requires").glob("*incident*.mount")]
    check("a restart of the machine mounts the database's volume, or ends there", problem or ("" if needs else "no mount is required"))
    folder = folder / "etc" / "systemd" / "system"
    # Nothing need be installed here: any program in its place tells whether a unit is sound.
    ours = [file for place in ("systemd", "instance") for file in sorted((DEPLOY / place).iterdir())]
    for file in (file for file in ours if file.suffix in (".service", ".timer")):
        (folder / file.name).write_text(re.sub(r"/usr/local/bin/incident-commander[a-z-]*", "/bin/true", file.read_text()))
        check(f"{file.name} by systemd-analyze verify", quiet("systemd-analyze", "verify", folder / file.name))
    unit = folder / "incident-commander.service"
    check("the unit's exposure is below 2.0", run("systemd-analyze", "security", "--offline=true", "--threshold=20", unit))


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


def machine():
    with tempfile.TemporaryDirectory() as folder:
        check("start.sh and refresh.sh, on a folder in place of a machine", "; ".join(instance.problems(folder)))
        units(pathlib.Path(folder) / "disk")


check("Dockerfile by hadolint", run(BIN / "hadolint", DEPLOY / "Dockerfile"))
for template in sorted((DEPLOY / "cloudformation").glob("*.yaml")):
    check(f"{template.name} by cfn-lint", run(BIN / "cfn-lint", template))
policies()
both_deployments()
terraform()
for script in [*sorted(DEPLOY.rglob("*.sh")), ROOT / "tests" / "fresh-debian" / "run.sh", ROOT / ".ci" / "run"]:
    check(f"{script.name} by shellcheck", run(BIN / "shellcheck", script))
workflows = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
check("workflows by their schema", run(BIN / "check-jsonschema", "--builtin-schema", "vendor.github-workflows", *workflows))
release()
secrets()
machine()
check("a rotated secret is handed on by a reload", rotated((DEPLOY / "systemd" / "incident-commander.service").read_text()))
sys.exit(1 if failed else 0)
