#!/bin/bash
# Makes demo-checkout-service.zip, the archive of the demo's Lambda function: the service's binary under the name that the
# runtime provided.al2023 starts. Usage: build.sh [FOLDER], where the archive goes; the folder that one is in where absent.
#
# Amazon Linux 2023 has glibc 2.34: a binary that asks for a newer one would not start there, and is refused here.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
target=$(cd "${1:-.}" && pwd)
binary=${BINARY:-$here/../../target/dist/demo-checkout-service}

if [ -z "${BINARY:-}" ]; then
  cargo build --locked --profile dist --bin demo-checkout-service --manifest-path "$here/../../Cargo.toml"
fi
newest=$(grep -aoE 'GLIBC_2\.[0-9]+' "$binary" | sort -uV | tail -n 1)
if [ "$(printf '%s\nGLIBC_2.34\n' "$newest" | sort -V | tail -n 1)" != GLIBC_2.34 ]; then
  echo "$binary needs $newest, Amazon Linux 2023 has GLIBC_2.34: build it on an older system" >&2
  exit 1
fi
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
install -m 0755 "$binary" "$folder/bootstrap"
(cd "$folder" && python3 -m zipfile -c "$target/demo-checkout-service.zip" bootstrap)
echo "$target/demo-checkout-service.zip"
