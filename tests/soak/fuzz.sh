#!/usr/bin/env bash
# Fuzzes every parser that a stranger reaches, SECONDS each: two in CI, an hour each before a release. What is found is
# written to target/fuzz/ and is run again by --replay.
#
# usage: tests/soak/fuzz.sh [SECONDS]
set -euo pipefail
cd "$(dirname "$0")/../.."
cargo run --quiet --example fuzz -- --seconds "${1:-3600}"
