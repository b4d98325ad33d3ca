"""Passes every message through slack_sdk's own block parser and back.

Usage: check_blocks.py MESSAGES.ndjson. A line is {"kind", "surface", "body"}. Exits 1 where a block breaks a
limit that slack_sdk knows, is not understood, or does not come back as it went in.
"""

import json
import logging
import sys

from slack_sdk.models.blocks import Block
from slack_sdk.models.views import View

# What slack_sdk fills in where a block leaves it to Slack.
DEFAULTS = {"emoji": True, "verbatim": False}


# Slack documents no limit for all blocks of a message together. 11,341 characters of text were refused
# (slackapi/bolt-js #2867), 13,297 of markdown were the most that was taken (#2509).
TEXT_MAX = 11_300
JSON_MAX = 13_200
VIEW_MAX = 250_000


def said(value):
    """Characters of all texts."""
    if isinstance(value, dict):
        return sum(
            len(item) if key == "text" and isinstance(item, str) else said(item) for key, item in value.items()
        )
    return sum(map(said, value)) if isinstance(value, list) else 0


def without_defaults(value):
    """The same without what only says what holds anyway, so that both sides can be compared."""
    if isinstance(value, dict):
        return {
            key: without_defaults(item)
            for key, item in value.items()
            if item is not None and not (key in DEFAULTS and item == DEFAULTS[key])
        }
    if isinstance(value, list):
        return [without_defaults(item) for item in value]
    return value


class Complaints(logging.Handler):
    """slack_sdk only logs what it does not know."""

    def __init__(self):
        super().__init__(logging.WARNING)
        self.lines = []

    def emit(self, record):
        self.lines.append(record.getMessage())


def problems_of(message, complaints):
    body, surface = message["body"], message["surface"]
    complaints.lines.clear()
    problems = []
    for index, block in enumerate(body.get("blocks", [])):
        try:
            parsed = Block.parse(block)
            if parsed is None:
                problems.append(f"blocks/{index}: not understood")
                continue
            back = parsed.to_dict()
        except Exception as error:  # whatever the parser throws is what it found
            problems.append(f"blocks/{index}: {error}")
            continue
        if without_defaults(back) != without_defaults(block):
            problems.append(f"blocks/{index}: {json.dumps(block)[:300]} comes back as {json.dumps(back)[:300]}")
    if surface in ("modal", "home"):
        try:
            View(**body).to_dict()
        except Exception as error:
            problems.append(f"the view: {error}")
        # Letters beyond ASCII as escapes: the longest way in which Slack may write them.
        if len(json.dumps(body, separators=(",", ":"))) > VIEW_MAX:
            problems.append("the view is too large")
    else:
        blocks = body.get("blocks", [])
        if len(blocks) > 50:
            problems.append("more than 50 blocks")
        if said(blocks) > TEXT_MAX or len(json.dumps(blocks, separators=(",", ":"), ensure_ascii=False)) > JSON_MAX:
            problems.append("msg_blocks_too_long")
    return problems + complaints.lines


def main(path):
    complaints = Complaints()
    logging.getLogger("slack_sdk").addHandler(complaints)
    logging.getLogger("slack_sdk").propagate = False
    kinds, failed = {}, 0
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            message = json.loads(line)
            kinds[message["kind"]] = kinds.get(message["kind"], 0) + 1
            for problem in problems_of(message, complaints)[:3]:
                failed += 1
                if failed <= 20:
                    print(f"{message['kind']}: {problem}", file=sys.stderr)
    print(f"slack_sdk: {sum(kinds.values())} messages of {len(kinds)} kinds, {failed} problems")
    return 1 if failed or not kinds else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
