#!/usr/bin/env bash
# What takes too long for CI, before a release and on a quiet machine: an hour and a half, and with HOURS of fuzzing for
# each target more. Stops at the first that fails.
#
# usage: tests/soak/release.sh [HOURS]
set -euo pipefail
cd "$(dirname "$0")/../.."

step() { printf '\n== %s\n' "$*"; }

step "killed a thousand times, and at every pass of every point"
tests/soak/kills.sh 1000 1000

step "a storm, beside a bare durable insert"
cargo bench --bench storm

step "half an hour: memory, file handles, database"
cargo bench --bench storm -- --soak 30

step "the time to a verdict, beside the slowest source's"
cargo bench --bench first_verdict

step "what a bundle costs, beside parsing its files"
cargo bench --bench bundle_cost

step "level shifts, beside the textbook tests"
cargo bench --bench shifts_change

step "size, memory and start of what is handed out"
cargo build --profile dist --bins
cargo build --release --example slack_alone
python3 benches/footprint.py

step "every parser that strangers reach, fuzzed by coverage"
tests/soak/guided.sh $((3600 * ${1:-1}))
