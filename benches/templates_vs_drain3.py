#!/usr/bin/env python3
"""Lines a second of the template miner beside drain3 with its masks, and beside splitting into words.

    python3 benches/templates_vs_drain3.py LOG [--lines 1000000] [--drain3-lines 200000]

LOG is a log file, or a folder whose *.log files are read one after the other; it is repeated until
there are enough lines. drain3 comes from PyPI into a temporary environment and reads the first
--drain3-lines of the same lines (its cost is linear). All take the lines from a file and run on one core;
time is CPU time, so that other work on the machine does not count, and each figure is the median of
three runs. Memory is the peak of the miner's process, at one tenth of the lines and at all.
"""

import argparse
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
import venv

ROOT = pathlib.Path(__file__).resolve().parent.parent

# The masks of drain3's own example configuration.
DRAIN3 = r"""
import sys, time
from drain3 import TemplateMiner
from drain3.masking import MaskingInstruction
from drain3.template_miner_config import TemplateMinerConfig

config = TemplateMinerConfig()
config.profiling_enabled = False
config.masking_instructions = [
    MaskingInstruction(r"((?<=[^A-Za-z0-9])|^)(([0-9a-f]{2,}:){3,}([0-9a-f]{2,}))((?=[^A-Za-z0-9])|$)", "ID"),
    MaskingInstruction(r"((?<=[^A-Za-z0-9])|^)(\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3})((?=[^A-Za-z0-9])|$)", "IP"),
    MaskingInstruction(r"((?<=[^A-Za-z0-9])|^)([0-9a-f]{6,} ?){3,}((?=[^A-Za-z0-9])|$)", "SEQ"),
    MaskingInstruction(r"((?<=[^A-Za-z0-9])|^)([0-9A-F]{4} ?){4,}((?=[^A-Za-z0-9])|$)", "SEQ"),
    MaskingInstruction(r"((?<=[^A-Za-z0-9])|^)(0x[a-f0-9A-F]+)((?=[^A-Za-z0-9])|$)", "HEX"),
    MaskingInstruction(r"((?<=[^A-Za-z0-9])|^)([\-\+]?\d+)((?=[^A-Za-z0-9])|$)", "NUM"),
    MaskingInstruction(r"(?<=executed cmd )(\".+?\")", "CMD"),
]
miner = TemplateMiner(config=config)
started = time.process_time()
count = 0
with open(sys.argv[1], encoding="utf-8", errors="replace") as log:
    for line in log:
        miner.add_log_message(line.rstrip("\n"))
        count += 1
print(count / (time.process_time() - started), len(miner.drain.clusters))
"""


def write_lines(source: pathlib.Path, target: pathlib.Path, wanted: int) -> int:
    files = sorted(source.rglob("*.log")) if source.is_dir() else [source]
    lines = b"".join(file.read_bytes().rstrip(b"\n") + b"\n" for file in files).splitlines(keepends=True)
    if not lines or lines == [b"\n"]:
        sys.exit(f"{source}: no lines")
    with target.open("wb") as out:
        for at in range(wanted):
            out.write(lines[at % len(lines)])
    return len(files)


# Times the speed of drain3 with its masks on; below it the script fails.
LEAST_RATIO = 25


def run_miner(program: list, log: pathlib.Path, lines: int) -> tuple:
    """Lines a second, and the peak memory in MB."""
    rates, peak = [], 0.0
    for _ in range(3):
        process = subprocess.Popen([*program, "logs", "templates", str(log), "--format", "ndjson"], stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        rates.append(lines / (usage.ru_utime + usage.ru_stime))
        peak = max(peak, usage.ru_maxrss / 1024)
        if status != 0:
            sys.exit(f"the miner ended with status {status}")
    return statistics.median(rates), peak


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("log", type=pathlib.Path)
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--drain3-lines", type=int, default=200_000)
    parser.add_argument("--program", help="a built incident-commander; absent: cargo builds it in release mode")
    arguments = parser.parse_args()

    if arguments.program:
        program = [arguments.program]
    else:
        subprocess.run(["cargo", "build", "--release", "--bin", "incident-commander"], cwd=ROOT, check=True)
        target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
        program = [str(target / "release" / "incident-commander")]

    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        venv.create(folder / "venv", with_pip=True)
        python = folder / "venv" / "bin" / "python"
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "drain3"], check=True)

        full, tenth, part = folder / "full.log", folder / "tenth.log", folder / "part.log"
        files = write_lines(arguments.log, full, arguments.lines)
        write_lines(arguments.log, tenth, arguments.lines // 10)
        part_lines = min(arguments.drain3_lines, arguments.lines)
        write_lines(arguments.log, part, part_lines)

        miner, peak = run_miner(program, full, arguments.lines)
        _, peak_of_tenth = run_miner(program, tenth, arguments.lines // 10)
        words = statistics.median(float(split_words(full)) for _ in range(3))
        runs = [
            subprocess.run([python, "-c", DRAIN3, part], check=True, capture_output=True, text=True).stdout.split()
            for _ in range(3)
        ]
        drain3 = statistics.median(float(run[0]) for run in runs)

    print(f"{files} file(s), {arguments.lines} lines ({part_lines} for drain3), lines a CPU second on one core:")
    print(f"  logs templates --format ndjson   {miner:>12,.0f}   peak {peak:.0f} MB ({peak_of_tenth:.0f} MB at a tenth)")
    print(f"  drain3 with its masks            {drain3:>12,.0f}   {runs[0][1]} templates")
    print(f"  splitting into words (Python)    {words:>12,.0f}")
    print(f"ratio to drain3: {miner / drain3:.1f}")
    print(f"ratio to splitting into words: {miner / words:.2f}")
    if miner / drain3 < LEAST_RATIO:
        sys.exit(f"below {LEAST_RATIO} times drain3")


def split_words(log: pathlib.Path) -> float:
    """Lines a second of reading the same file and splitting each line at white space."""
    started = time.process_time()
    count = 0
    with log.open("rb") as lines:
        for line in lines:
            line.split()
            count += 1
    return count / (time.process_time() - started)


if __name__ == "__main__":
    main()
