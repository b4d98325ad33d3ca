"""The machine that docs/operations.md is about: its folders below one folder of ours, and the service as its unit starts it.

The page's blocks are run as somebody types them who has just logged in: nothing is exported but what the page exports. Where
this is run by root the service has a user of its own, as under systemd, and cannot write what is root's.
"""

import os
import pathlib
import shlex
import shutil
import subprocess
import textwrap

from emulator import free_port

UNIT = pathlib.Path(__file__).parents[2] / "deploy" / "systemd" / "incident-commander.service"
# Nobody's on any machine; systemd makes such users from 61184 on.
SERVICE_USER = 61184


class Machine:
    def __init__(self, folder, binary, configuration, secrets, environment):
        self.at = folder / "machine"
        self.url = f"http://127.0.0.1:{free_port()}"
        self.places = {
            f"{place}/": f"{self.at / name}/"
            for place, name in {
                "/etc/incident-commander": "etc",
                "/var/lib/incident-commander": "lib",
                "/var/backups": "backups",
                "/usr/local/bin": "bin",
                "/run/incident-commander": "run",
            }.items()
        }
        for path in self.places.values():
            pathlib.Path(path).mkdir(parents=True)
        # The service's user goes through them.
        for path in (folder, self.at):
            path.chmod(0o755)
        (self.at / "etc" / "secrets").mkdir()
        (self.at / "etc" / "commander.toml").write_text(configuration)
        # AWS's and the doubles' addresses come as they do on a machine without an instance role.
        lines = [f"{name}={value}\n" for name, value in environment.items()]
        (self.at / "etc" / "environment").write_text("".join(lines))
        for name, value in secrets.items():
            (self.at / "etc" / "secrets" / name).write_text(value)
            # What the unit hands to its user.
            (self.at / "run" / name).write_text(value)
        shutil.copy(binary, self.at / "bin" / "incident-commander")
        # What an upgrade installs, where it was unpacked.
        shutil.copy(binary, folder / "incident-commander")
        self.user = []
        if os.geteuid() == 0:
            self.user = ["setpriv", f"--reuid={SERVICE_USER}", f"--regid={SERVICE_USER}", "--clear-groups"]
            for path in (self.at / "lib", *(self.at / "run").iterdir()):
                os.chown(path, SERVICE_USER, SERVICE_USER)

    def here(self, text):
        """A text of the page or the unit with this machine's paths."""
        for said, stands_for in self.places.items():
            text = text.replace(said, stands_for)
        return text

    def settings(self):
        """What the unit's process has in its environment."""
        lines = [line.removeprefix("Environment=") for line in UNIT.read_text().splitlines() if line.startswith("Environment=")]
        settings = dict(line.replace("%t/", "/run/").split("=", 1) for line in lines)
        return {name: self.here(value) for name, value in settings.items()} | {
            "COMMANDER_LISTEN": self.url.removeprefix("http://"),
            **dict(line.split("=", 1) for line in (self.at / "etc" / "environment").read_text().splitlines()),
        }

    def systemctl(self):
        """A script that does of systemctl what the page asks for: start, stop and restart of the one service."""
        assignments = [f"{name}={value}" for name, value in self.settings().items()]
        program = str(self.at / "bin" / "incident-commander")
        service = shlex.join(["env", "-i", f"PATH={os.environ['PATH']}", *assignments, *self.user, program, "serve"])
        return textwrap.dedent(f"""\
            cd {shlex.quote(str(self.at))}
            [ "$2" = incident-commander ]
            if [ "$1" != start ] && [ -e pid ]; then
              kill -TERM "$(cat pid)"
              # Nobody may collect it: what has ended has no program.
              while [ -e "/proc/$(cat pid)/exe" ]; do /bin/sleep 0.1; done
              rm pid
            fi
            if [ "$1" != stop ]; then
              (cd lib; exec setsid {service} >>../service.log 2>&1) &
              echo $! >pid
              # It is ready once its database can be written.
              for _ in $(seq 300); do
                curl -fsS {self.url}/readyz >/dev/null 2>&1 && exit 0
                [ -e "/proc/$(cat pid)/exe" ] || exit 1
                /bin/sleep 0.1
              done
              exit 1
            fi""")

    def end(self):
        pid = self.at / "pid"
        if pid.exists():
            subprocess.run(["kill", "-KILL", pid.read_text().strip()], check=False)
