"""Runs the scripts of deploy/instance as a machine of AWS would, on a folder in place of its disk.

`aws`, `systemctl` and what else touches a machine are stubs that write their call down. What AWS holds is a folder: whatever
is not in it is missing there.
"""

import os
import pathlib
import re
import shutil
import subprocess

DEPLOY = pathlib.Path(__file__).resolve().parents[2] / "deploy"
STATE = "/var/lib/private/incident-commander"
DISK = "/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_vol0123"
SETTINGS = {
    "AWS_DEFAULT_REGION": "eu-central-1",
    "BUCKET": "bucket",
    "PREFIX": "commander/",
    "VOLUME": "vol-0123",
    "CONFIGURATION": "/commander/configuration",
    "SLACK_SECRET": "arn:aws:secretsmanager:eu-central-1:123456789012:secret:slack",
}
SECRET = '{"bot_token": "xoxb-1", "app_token": "xapp-1", "alert_token": "token-1"}'
# By program: what it does beside being written down. $CLOUD is what AWS holds, $DISK the machine's disk.
STUBS = {
    "aws": """case "$1 $2" in
  "s3 cp") cp "$CLOUD/bucket/${4##*/}" "$5" ;;
  "ec2 attach-volume") mkdir -p "$DISK/dev/disk/by-id" && touch "$DISK$DEVICE" ;;
  "ssm get-parameter") cat "$CLOUD/parameter" 2>/dev/null || exit 254 ;;
  "secretsmanager get-secret-value") cat "$CLOUD/secret" 2>/dev/null || exit 254 ;;
esac""",
    "curl": "echo answer",
    "sleep": "",
    "blkid": '[ -e "$DISK/formatted" ] || exit 2\necho 11111111-2222-3333-4444-555555555555',
    "mkfs.ext4": 'touch "$DISK/formatted"',
    "mountpoint": '[ -e "$DISK/mounted" ]',
    "mount": 'touch "$DISK/mounted"',
    "systemctl": 'if [ "$1" = is-failed ]; then [ -e "$DISK/failed" ]; elif [ "$1" = reset-failed ]; then rm "$DISK/failed"; fi',
}


class Machine:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.disk, self.cloud, self.programs = (self.folder / name for name in ("disk", "cloud", "programs"))
        for place in (self.disk / "etc/systemd/system", self.disk / "usr/local/bin", self.cloud / "bucket", self.programs):
            place.mkdir(parents=True)
        (self.disk / "etc/fstab").write_text("UUID=0 / xfs defaults 1 1\n")
        for name, does in STUBS.items():
            self.program(self.programs / name, f'echo "{name} $*" >>"$DISK/calls"\n{does}')
        # What docs/install.md puts into the bucket.
        for file in [DEPLOY / "systemd" / "incident-commander.service", *(DEPLOY / "instance").iterdir()]:
            shutil.copy(file, self.cloud / "bucket")
        self.program(self.cloud / "bucket" / "incident-commander", "echo incident-commander 0.0.0")

    @staticmethod
    def program(path, script):
        path.write_text(f"#!/bin/bash\n{script}\n")
        path.chmod(0o755)

    def run(self, script, settings):
        """The exit code, the output, and what it called; its paths are those of the folder."""
        text = re.sub(r"(?<![\w/.])/(?=(etc|var/lib|usr/local|dev/disk|root)/)", f"{self.disk}/", script.read_text())
        (self.disk / "calls").unlink(missing_ok=True)
        environment = {"PATH": f"{self.programs}:{os.environ['PATH']}", "DISK": str(self.disk), "CLOUD": str(self.cloud), "DEVICE": DISK}
        done = subprocess.run(
            ["bash", "-c", text], env={**environment, **settings}, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        calls = (self.disk / "calls").read_text() if (self.disk / "calls").exists() else ""
        return done.returncode, done.stdout + done.stderr, calls.replace(str(self.disk), "").splitlines()

    def start(self):
        return self.run(DEPLOY / "instance" / "start.sh", SETTINGS)

    def refresh(self):
        """As its unit runs it: with what start.sh wrote down, and nothing else."""
        file = self.disk / "etc/incident-commander/instance"
        settings = dict(line.split("=", 1) for line in file.read_text().splitlines())
        return self.run(self.disk / "usr/local/bin/incident-commander-refresh", settings)

    def orders(self, refreshed):
        code, said, calls = refreshed
        given = [call.removeprefix("systemctl ") for call in calls if call.startswith("systemctl ") and "is-failed" not in call]
        return (code, given) if code == 0 else (said, given)


def problems(folder):
    """What the scripts do otherwise than they should, a sentence each."""
    machine = Machine(folder)
    etc = machine.disk / "etc"

    def differs(what, is_, should):
        return [] if is_ == should else [f"{what}: {is_} and not {should}"]

    # Nothing is filled in yet, neither the parameter nor the secret.
    code, said, calls = machine.start()
    if code:
        yield f"the first start ends with {code}: {said}"
        return
    yield from differs(
        "systemd hears",
        [call for call in calls if call.startswith("systemctl")],
        [
            "systemctl daemon-reload",
            "systemctl enable incident-commander.service incident-commander-refresh.timer",
            "systemctl start incident-commander-refresh.timer",
        ],
    )
    yield from differs("a new volume is formatted", f"mkfs.ext4 -q {DISK}" in calls, True)
    line = f"UUID=11111111-2222-3333-4444-555555555555 {STATE} ext4 noatime,nodev,nosuid,noexec 0 2"
    root = "UUID=0 / xfs defaults 1 1"
    for turn in ("first", "second"):
        yield from differs(f"fstab after the {turn} run", (etc / "fstab").read_text().replace(str(machine.disk), "").splitlines(), [root, line])
        if turn == "first":
            code, said, calls = machine.start()
            yield from differs("the second run", (code, any(call.startswith(("mkfs", "mount ")) for call in calls)), (0, False))
    drop_in = (etc / "systemd/system/incident-commander.service.d/volume.conf").read_text().replace(str(machine.disk), "")
    yield from differs("the drop-in", drop_in, f"[Unit]\nRequiresMountsFor={STATE}\nAssertPathIsMountPoint={STATE}\n")

    def missing(what):
        said, given = machine.orders(machine.refresh())
        return differs(f"without {what} the bot is", given, []) + differs(f"without {what} all is", said == 0, False)

    yield from missing("a parameter")
    (machine.cloud / "parameter").write_text("[slack]\n")
    yield from missing("a secret")
    (machine.cloud / "secret").write_text('{"bot_token": "xoxb-1"}')
    yield from missing("a whole secret")
    token = etc / "incident-commander/secrets/slack-bot-token"
    yield from differs("a token of a secret that is not whole is taken", token.exists(), False)

    bot = "incident-commander.service"
    (machine.cloud / "secret").write_text(SECRET)
    yield from differs("once all is there", machine.orders(machine.refresh()), (0, [f"restart {bot}"]))
    yield from differs("the token", token.read_text(), "xoxb-1\n")
    about = {str(file.relative_to(etc / "incident-commander")): oct(file.stat().st_mode & 0o777) for file in (token, etc / "incident-commander/commander.toml")}
    yield from differs("who may read", about, {"secrets/slack-bot-token": "0o600", "commander.toml": "0o644"})
    yield from differs("where nothing changed", machine.orders(machine.refresh()), (0, []))
    (machine.cloud / "secret").write_text(SECRET.replace("xoxb-1", "xoxb-2"))
    yield from differs("a rotated secret", machine.orders(machine.refresh()), (0, [f"reload-or-restart {bot}"]))
    (machine.cloud / "parameter").write_text("[slack]\nalert_channels = []\n")
    yield from differs("a changed configuration", machine.orders(machine.refresh()), (0, [f"restart {bot}"]))
    (machine.disk / "failed").touch()
    yield from differs("a bot that gave up", machine.orders(machine.refresh()), (0, [f"reset-failed {bot}", f"restart {bot}"]))
