#!/usr/bin/env bash
# Kills the bot (SIGKILL) at every numbered point of the story and KILLS times at random under load, and compares what
# is left with what nobody disturbed. Points that every step and every message comes by are died at in the first four
# of their passes; with PASSES in as many as there are. Beside that the faults whose deadlines are waited for as they are:
# silence, and a database that is locked. CI: 50 kills; before a release: 1000, and all passes. SEED repeats the draws of
# an earlier run.
#
# usage: tests/soak/kills.sh [KILLS] [PASSES]
set -euo pipefail
cd "$(dirname "$0")/../.."
KILLS=${1:-50} PASSES=${2:-4} cargo test --test it -- --ignored kills::story kills::random faults::
