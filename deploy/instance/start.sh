#!/bin/bash
# Makes an Amazon Linux instance into the bot's: run as root at the first start, by the user data of
# deploy/cloudformation and deploy/terraform. Everything here may run twice.
#
# Needs in its environment: BUCKET and PREFIX (where incident-commander, incident-commander.service and the files of this
# folder lie), VOLUME (the EBS volume of the database), CONFIGURATION (the parameter that holds commander.toml),
# SLACK_SECRET (JSON with bot_token, app_token and alert_token) and AWS_DEFAULT_REGION.
set -euo pipefail

readonly STATE=/var/lib/private/incident-commander # where systemd keeps the state of a DynamicUser
readonly UNITS=/etc/systemd/system

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
  # This script runs at the first start only; at those after it the mount comes from here. Without `nofail`: a machine that
  # starts without its volume must not pass for well, so that the group replaces it by one that fetches the volume.
  sed -i "\\| $STATE |d" /etc/fstab
  printf 'UUID=%s %s ext4 noatime,nodev,nosuid,noexec 0 2\n' "$(blkid -s UUID -o value "$disk")" "$STATE" >>/etc/fstab
  mountpoint -q "$STATE" || mount "$STATE"
}

fetch() {
  aws s3 cp --only-show-errors "s3://$BUCKET/$PREFIX$1" "$2"
}

install_bot() {
  fetch incident-commander /usr/local/bin/incident-commander
  chmod 0755 /usr/local/bin/incident-commander
  # One that was built for a newer glibc or another processor ends here, with the reason in the log of cloud-init.
  /usr/local/bin/incident-commander --version
  fetch refresh.sh /usr/local/bin/incident-commander-refresh
  chmod 0755 /usr/local/bin/incident-commander-refresh
  for unit in incident-commander.service incident-commander-refresh.service incident-commander-refresh.timer; do
    fetch "$unit" "$UNITS/$unit"
  done
  # On the machine's own disk the bot would begin with an empty database: it starts on its volume or not at all.
  install -d "$UNITS/incident-commander.service.d" /etc/incident-commander
  printf '[Unit]\nRequiresMountsFor=%s\nAssertPathIsMountPoint=%s\n' "$STATE" "$STATE" \
    >"$UNITS/incident-commander.service.d/volume.conf"
  printf 'AWS_REGION=%s\n' "$AWS_DEFAULT_REGION" >/etc/incident-commander/environment
  printf '%s\n' "AWS_DEFAULT_REGION=$AWS_DEFAULT_REGION" "CONFIGURATION=$CONFIGURATION" "SLACK_SECRET=$SLACK_SECRET" \
    >/etc/incident-commander/instance
}

attach_volume
install_bot
systemctl daemon-reload
# Neither waits for configuration and secrets: the timer looks for them at once and every five minutes, and then starts the bot.
systemctl enable incident-commander.service incident-commander-refresh.timer
systemctl start incident-commander-refresh.timer
