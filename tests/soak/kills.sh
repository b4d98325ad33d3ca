#!/usr/bin/env bash
# Kills the bot (SIGKILL) at every numbered point of the story and KILLS times at random under load, and compares what
# is left with what nobody disturbed. Beside that the faults whose deadlines are waited for as they are: silence, and a
# database that is locked. CI: 50 kills; before a release: 1000. SEED repeats the draws of an earlier run.
#
# usage: tests/soak/kills.sh [KILLS]
set -euo pipefail
cd "$(dirname "$0")/../.."
KILLS=${1:-50} cargo test --test it -- --ignored kills::story kills::random faults::
