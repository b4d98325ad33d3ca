#!/usr/bin/env bash
# Fuzzes every parser that a stranger reaches, SECONDS each, as many at a time as there are cores: a minute in CI.
# Before a release tests/soak/guided.sh does it for an hour, by coverage. What is found is written to target/fuzz/, and so is what a parser was at when it took the whole
# process with it.
#
# Each day it tries other inputs; SEED, which is printed, makes them again.
#
# usage: tests/soak/fuzz.sh [SECONDS] [SEED]
set -euo pipefail
cd "$(dirname "$0")/../.."
rm -f target/fuzz/*.running
seed=${2:-$(date -u +%Y%m%d)}
echo "seed $seed"
ended=0
cargo run --quiet --example fuzz -- --seconds "${1:-60}" --seed "$seed" || ended=$?
for input in target/fuzz/*.running; do
  [ -e "$input" ] || continue
  target=$(basename "$input" .running)
  echo "$target was at $input when the run ended (again: cargo run --example fuzz -- --replay $input $target)"
done
exit "$ended"
