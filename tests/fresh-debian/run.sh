#!/usr/bin/env bash
# A fresh Debian in which nothing is but what deploy/Dockerfile installs, and the bot in it: it says its version, tells the
# demo's story to its verdict and its recovery, and serves until it is told to stop.
#
# Usage, as root: run.sh BINARY [PYTHON SLACK_ALONE ROLLBACKS_ELSEWHERE]. The Debian is made by debootstrap and removed again;
# DEBIAN=FOLDER takes one that is there. Packages, user, secrets and health check are read from the Dockerfile. With the
# three programs that tests/ministack/story.py needs, its story is told too, with the bot in the Debian and AWS and Slack
# outside of it.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
dockerfile=$here/../../deploy/Dockerfile
binary=$(realpath "$1")
shift
work=$(mktemp -d)
debian=${DEBIAN:-$work/debian}

cleanup() {
  if [ -n "${bot:-}" ]; then kill "$bot" 2>/dev/null || true; fi
  umount "$debian/proc" "$debian$work/story" 2>/dev/null || true
  # Not through a mount: what cannot be unmounted stays.
  mountpoint -q "$debian/proc" || mountpoint -q "$debian$work/story" || rm -rf "$work"
}
trap cleanup EXIT

packages=$(sed -n 's/.*apt-get install -y --no-install-recommends \([a-z -]*\) *\\*$/\1/p' "$dockerfile" | xargs | tr ' ' ,)
user=$(sed -n 's/^ *&& \(useradd .*\)$/\1/p' "$dockerfile")
health=$(tr -d '\n' <"$dockerfile" | sed -n 's/.*CMD \(\["\/bin\/bash".*&& \[\[[^]]*\]\]"\]\).*/\1/p' | sed 's/\\ */ /')
# NAME_FILE=PATH each, as its head has them given to the container.
mapfile -t secrets < <(sed -n '/^FROM /q; s/-e \([A-Z_]*_FILE=[^ ]*\)/\n\1\n/gp' "$dockerfile" | grep '_FILE=')
[ -n "$packages" ] && [ -n "$user" ] && [ -n "$health" ] && [ "${#secrets[@]}" -gt 0 ] || { echo "the Dockerfile is not read" >&2; exit 1; }

[ -e "$debian/bin/bash" ] || debootstrap --variant=minbase --include="$packages" bookworm "$debian" >"$work/debootstrap.log"
mount -t proc proc "$debian/proc"
chroot "$debian" /bin/bash -c "id -u commander >/dev/null 2>&1 || $user"
install -m 0755 "$binary" "$debian/usr/local/bin/incident-commander"
install -d "$debian/etc/incident-commander"
install -m 0644 "$here/../../deploy/commander.example.toml" "$debian/etc/incident-commander/commander.toml"
for secret in "${secrets[@]}"; do
  install -D -o 10001 -m 0400 /dev/stdin "$debian${secret#*=}" <<<"of-nobody"
done

# shellcheck disable=SC2016 # it is the shell inside that expands it
as_user=(chroot --userspec=10001:10001 "$debian" /usr/bin/env -i PATH=/usr/local/bin:/usr/bin:/bin
  HOME=/var/lib/incident-commander /bin/bash -c 'cd && exec "$@"' bash)

"${as_user[@]}" incident-commander --version
"${as_user[@]}" incident-commander demo --headless >"$work/story.txt"
grep -i "root cause" "$work/story.txt" | head -n 3
echo "ok: the story ends as it should"

# On a port of its own: other programs of this machine may have the image's.
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
"${as_user[@]}" env COMMANDER_CONFIG=/etc/incident-commander/commander.toml "COMMANDER_LISTEN=0.0.0.0:$port" \
  DATABASE_URL=sqlite:///var/lib/incident-commander/incidents.db "${secrets[@]}" SLACK_API_URL=http://127.0.0.1:9/ \
  AWS_ACCESS_KEY_ID=none AWS_SECRET_ACCESS_KEY=none AWS_ENDPOINT_URL=http://127.0.0.1:9 \
  incident-commander serve 2>"$work/serve.log" &
bot=$!
check=$(python3 -c 'import json, sys; print(json.loads(sys.argv[1])[-1])' "$health")
for _ in $(seq 100); do
  if "${as_user[@]}" /bin/bash -c "${check//3000/$port}" 2>/dev/null; then healthy=yes; break; fi
  sleep 0.1
done
[ "${healthy:-}" ] || { cat "$work/serve.log" >&2; echo "the health check of the image does not hold" >&2; exit 1; }
echo "ok: the image's health check holds"
kill -TERM "$bot"
wait "$bot" || { echo "SIGTERM ends it with $?" >&2; exit 1; }
bot=
echo "ok: SIGTERM ends it with 0"

if [ $# = 3 ]; then
  # What the story writes has the same path inside.
  mkdir -p "$work/story" "$debian$work/story"
  mount --bind "$work/story" "$debian$work/story"
  printf '#!/bin/sh\nexec chroot %q /usr/local/bin/incident-commander "$@"\n' "$debian" >"$work/inside"
  chmod +x "$work/inside"
  TMPDIR=$work/story "$1" "$here/../ministack/story.py" --bin "$work/inside" --slack "$2" --rollbacks "$3"
  echo "ok: configured against AWS and Slack outside, it gives its first verdict and undoes the change"
fi
