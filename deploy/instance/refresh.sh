#!/bin/bash
# Takes configuration and secrets from Parameter Store and Secrets Manager: run by incident-commander-refresh.timer at the
# start and every five minutes. A changed secret is handed on to the bot that runs, a changed configuration wants a new
# start. Where one of them is missing nothing is replaced, and the next run looks again.
#
# Needs in its environment, which start.sh writes down: CONFIGURATION, SLACK_SECRET and AWS_DEFAULT_REGION.
set -euo pipefail
umask 0077

readonly BOT=incident-commander.service
readonly COMMANDER_TOML=/etc/incident-commander/commander.toml
readonly SECRETS=/etc/incident-commander/secrets
readonly NAMES=(slack-bot-token slack-app-token alert-token)

install -d -m 0700 "$SECRETS"
aws ssm get-parameter --name "$CONFIGURATION" --with-decryption --query Parameter.Value --output text >"$COMMANDER_TOML.new"
# No secret is in it, and the bot runs under a user of its own.
chmod 0644 "$COMMANDER_TOML.new"
secret=$(aws secretsmanager get-secret-value --secret-id "$SLACK_SECRET" --query SecretString --output text)
for name in "${NAMES[@]}"; do
  key=${name#slack-}
  python3 -c '
import json, sys
print(json.load(sys.stdin).get(sys.argv[1]) or sys.exit(f"the secret holds no {sys.argv[1]} yet"))
' "${key/-/_}" <<<"$secret" >"$SECRETS/$name.new"
done

# All of it is there: only now is anything replaced, so that no change is taken without its order.
order=
take() {
  cmp -s "$1.new" "$1" || order=$2
  mv "$1.new" "$1"
}
for name in "${NAMES[@]}"; do
  take "$SECRETS/$name" reload-or-restart
done
take "$COMMANDER_TOML" restart
# One that gave up, as on a configuration that was wrong or a network that was away, is tried again.
if systemctl is-failed --quiet "$BOT"; then
  systemctl reset-failed "$BOT"
  order=restart
fi
if [ "$order" ]; then systemctl "$order" "$BOT"; fi
