"""What the bot costs a machine: size of the binary, memory when idle, and its start beside that of `--version`.

Usage: python3 benches/footprint.py [BINARY [SLACK_ALONE]], which are target/dist/incident-commander and
target/release/examples/slack_alone where absent (cargo build --profile dist; cargo build --release --example slack_alone).
Everything is on loopback. Memory is read with Socket Mode connected to the demo's Slack, in plain HTTP, and nothing to do; starts are
those of a bot without Slack. AWS is asked nothing. Exits 1 where a promise does not hold: below 30 MB stripped, below 40 MB resident, a start of at most 5 times `--version`.
"""

import contextlib
import json
import os
import pathlib
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ROUNDS = 15
# Seconds for Socket Mode to be connected.
CONNECTED_WITHIN = 30
# Seconds without anything to do before memory is read.
IDLE = 5
MEGABYTE = 1e6


def free_port():
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def answers(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
        connection.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
        return b" 200 " in connection.recv(64)
    return False


@contextlib.contextmanager
def slack_alone(binary):
    """What a bot needs to talk to the demo's Slack, over Socket Mode."""
    options = ["--bot", "http://127.0.0.1:9", "--signing-secret", "unused", "--socket-mode"]
    slack = subprocess.Popen([binary, *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        told = json.loads(slack.stdout.readline())
        yield {"SLACK_API_URL": told["api"], "SLACK_BOT_TOKEN": told["token"], "SLACK_APP_TOKEN": told["app_token"]}
    finally:
        slack.stdin.close()
        slack.wait(20)


@contextlib.contextmanager
def serving(binary, folder, log, more=None):
    """The bot on a free port, once it answers, with the seconds that took."""
    port = free_port()
    environment = {
        "PATH": os.environ["PATH"],
        "AWS_REGION": "us-east-1",
        "DATABASE_URL": f"sqlite://{folder}/bot.db",
        "COMMANDER_LISTEN": f"127.0.0.1:{port}",
        **(more or {}),
    }
    begun = time.monotonic()
    bot = subprocess.Popen([binary, "serve"], env=environment, stderr=log)
    try:
        while not answers(port):
            if bot.poll() is not None:
                raise SystemExit(f"the bot ended with {bot.returncode}")
            time.sleep(0.0005)
        yield bot, time.monotonic() - begun
    finally:
        bot.terminate()
        bot.wait(20)


def connected(log):
    """Returns once the bot's log says that Socket Mode is connected."""
    end = time.monotonic() + CONNECTED_WITHIN
    while "Socket Mode is connected" not in log.read_text():
        if time.monotonic() > end:
            raise SystemExit(f"Socket Mode was not connected within {CONNECTED_WITHIN} s:\n{log.read_text()}")
        time.sleep(0.1)


def resident(process):
    for line in pathlib.Path(f"/proc/{process.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise SystemExit("this system does not tell VmRSS")


def version(binary):
    begun = time.monotonic()
    subprocess.run([binary, "--version"], check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - begun


def main():
    built = ["target/dist/incident-commander", "target/release/examples/slack_alone"]
    given = sys.argv[1:] + built[len(sys.argv) - 1 :]
    binary, slack = (pathlib.Path(path).resolve() for path in given)
    with tempfile.TemporaryDirectory(prefix="footprint-") as folder, open(os.devnull, "wb") as nowhere:
        with serving(binary, folder, nowhere) as (_, first):
            pass
        log = pathlib.Path(folder) / "bot.log"
        with slack_alone(slack) as more, open(log, "wb") as written, serving(binary, folder, written, more) as (bot, _):
            connected(log)
            time.sleep(IDLE)
            idle = resident(bot)
        starts, versions = [], []
        for _ in range(ROUNDS):
            # By turns, so that a busy machine slows both.
            versions.append(version(binary))
            with serving(binary, folder, nowhere) as (_, took):
                starts.append(took)
    size = binary.stat().st_size
    start, told = statistics.median(starts), statistics.median(versions)
    print(f"size                {size / MEGABYTE:8.1f} MB    below 30")
    print(f"idle, resident      {idle / MEGABYTE:8.1f} MB    below 40, {IDLE} s after Socket Mode is connected")
    print(f"first start         {first * 1000:8.1f} ms    the database is made")
    print(f"start until it answers {start * 1000:5.1f} ms    median of {ROUNDS}")
    print(f"--version           {told * 1000:8.1f} ms    median of {ROUNDS}")
    print(f"start / --version   {start / told:8.1f}       at most 5")
    sys.exit(0 if size < 30 * MEGABYTE and idle < 40 * MEGABYTE and start <= 5 * told else 1)


if __name__ == "__main__":
    main()
