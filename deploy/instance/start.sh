#!/bin/bash
# Makes an Amazon Linux instance into the bot's: run as root at the first start, by the user data of
# deploy/cloudformation and deploy/terraform. Everything here may run twice.
#
# Needs in its environment: BUCKET and PREFIX (where start.sh, incident-commander and incident-commander.service
# lie), VOLUME (the EBS volume of the database), CONFIGURATION (the parameter that holds commander.toml),
# SLACK_SECRET (JSON with bot_token, app_token and alert_token) and AWS_DEFAULT_REGION.
set -euo pipefail

readonly STATE=/var/lib/private/incident-commander # where systemd keeps the state of a DynamicUser
readonly SECRETS=/etc/incident-commander/secrets

attach_volume() {
  local token instance disk
  token=$(curl -fsS -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 300' http://169.254.169.254/latest/api/token)
  instance=$(curl -fsS -H "X-aws-ec2-metadata-token: $token" http://169.254.169.254/latest/meta-data/instance-id)
  disk=/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_${VOLUME/-/}
  # The predecessor may still hold it: it is tried for ten minutes until it is free.
  for _ in $(seq 120); do
    [ -e "$disk" ] && break
    aws ec2 attach-volume --volume-id "$VOLUME" --instance-id "$instance" --device /dev/sdf >/dev/null || true
    sleep 5
  done
  # Made once: a volume that holds a file system is never formatted again.
  blkid "$disk" >/dev/null || mkfs.ext4 -q "$disk"
  install -d -m 0700 /var/lib/private "$STATE"
  mountpoint -q "$STATE" || mount -o noatime,nodev,nosuid,noexec "$disk" "$STATE"
}

fetch() {
  aws s3 cp --only-show-errors "s3://$BUCKET/$PREFIX$1" "$2"
}

install_bot() {
  fetch incident-commander /usr/local/bin/incident-commander
  chmod 0755 /usr/local/bin/incident-commander
  # One that was built for a newer glibc or another processor ends here, with the reason in the log of cloud-init.
  /usr/local/bin/incident-commander --version
  fetch incident-commander.service /etc/systemd/system/incident-commander.service
  install -d /etc/incident-commander
  printf 'AWS_REGION=%s\n' "$AWS_DEFAULT_REGION" >/etc/incident-commander/environment
}

# Reads configuration and secrets each five minutes. A changed secret is handed on, a changed configuration wants a new start.
install_refresh() {
  cat >/usr/local/bin/incident-commander-refresh <<END
#!/bin/bash
set -euo pipefail
umask 0077
export AWS_DEFAULT_REGION=$AWS_DEFAULT_REGION
order=
take() {
  cmp -s "\$1.new" "\$1" || order=\$2
  mv "\$1.new" "\$1"
}
configuration=/etc/incident-commander/commander.toml
aws ssm get-parameter --name "$CONFIGURATION" --with-decryption --query Parameter.Value --output text >"\$configuration.new"
# No secret is in it, and the bot runs under a user of its own.
chmod 0644 "\$configuration.new"
mkdir -p $SECRETS
secret=\$(aws secretsmanager get-secret-value --secret-id $SLACK_SECRET --query SecretString --output text)
for name in slack-bot-token slack-app-token alert-token; do
  key=\${name#slack-}
  python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "\${key/-/_}" <<<"\$secret" >"$SECRETS/\$name.new"
  take "$SECRETS/\$name" reload-or-restart
done
take "\$configuration" restart
if [ "\$order" ]; then systemctl "\$order" incident-commander.service; fi
END
  chmod 0755 /usr/local/bin/incident-commander-refresh
  printf '[Service]\nType=oneshot\nExecStart=/usr/local/bin/incident-commander-refresh\n' \
    >/etc/systemd/system/incident-commander-refresh.service
  printf '[Timer]\nOnBootSec=5min\nOnUnitActiveSec=5min\n[Install]\nWantedBy=timers.target\n' \
    >/etc/systemd/system/incident-commander-refresh.timer
}

attach_volume
install_bot
install_refresh
systemctl daemon-reload
/usr/local/bin/incident-commander-refresh
systemctl enable --now incident-commander.service incident-commander-refresh.timer
