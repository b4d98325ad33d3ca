#!/usr/bin/env bash
# Fuzzes every parser that a stranger reaches with cargo-fuzz, steered by coverage, SECONDS each, as many at a time as there
# are cores (or AT_ONCE): an hour each before a release. It begins with the inputs that `examples/fuzz` begins with, and keeps in
# target/guided/ what reached anything new; what is found is written there too. The minute each of CI is
# tests/soak/fuzz.sh: this one is built with its own flags from the ground up.
#
# The compiler is the stable one: nothing here is `unsafe`, so that no sanitizer is asked for, and coverage needs none.
#
# usage: tests/soak/guided.sh [SECONDS] [TARGET...]
set -euo pipefail
cd "$(dirname "$0")/../.."
export SECONDS_EACH=${1:-3600}
shift || true
export FOLDER=$PWD/target/guided
mkdir -p "$FOLDER"
[ -x "$FOLDER/bin/cargo-fuzz" ] || cargo install --quiet --locked --version 0.13.1 --root "$FOLDER" cargo-fuzz
PATH="$FOLDER/bin:$PATH" cargo fuzz build --sanitizer none --no-cfg-fuzzing --target-dir "$FOLDER/build"
cargo run --quiet --example fuzz -- --beginnings "$FOLDER/beginnings"
export PARSERS=$FOLDER/build/$(rustc -vV | sed -n 's/^host: //p')/release/parsers
# What a thread of the bot's own runtime has: an input that needs more takes the process along.
ulimit -s 2048

fuzz() {
  mkdir -p "$FOLDER/kept/$1" "$FOLDER/found/$1"
  local ended=0 log="$FOLDER/$1.log"
  FUZZ_TARGET=$1 "$PARSERS" -max_total_time="$SECONDS_EACH" -max_len=65536 -timeout=20 -rss_limit_mb=2048 \
    -print_final_stats=1 -dict="$FOLDER/words" -artifact_prefix="$FOLDER/found/$1/" \
    "$FOLDER/kept/$1" "$FOLDER/beginnings/$1" >"$log" 2>&1 || ended=$?
  if [ "$ended" = 0 ]; then
    printf '%-16s %10s inputs, %s edges\n' "$1" "$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")" \
      "$(grep -o 'cov: [0-9]*' "$log" | tail -n 1 | cut -d' ' -f2)"
  else
    printf '%-16s FOUND %s (%s)\n' "$1" "$(ls "$FOLDER/found/$1" | tr '\n' ' ')" "$log"
  fi
  return "$ended"
}
export -f fuzz
mv "$FOLDER/beginnings/words" "$FOLDER/words"
[ $# -gt 0 ] || set -- $(ls "$FOLDER/beginnings")
printf '%s\n' "$@" | xargs -P "${AT_ONCE:-$(nproc)}" -I{} bash -c 'fuzz {}'
