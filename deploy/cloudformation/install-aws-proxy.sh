# Installs an AWS proxy on a Debian instance that has just been launched: user data of deploy/aws.yaml, which sets the variables.
# What fails ends it, with the command in the instance's system log: the instance is then replaced when its lifecycle hook times out.
set -Eeuo pipefail
trap 'echo "lifeboat: line $LINENO failed: $BASH_COMMAND" >> /dev/console' ERR
umask 022
export DEBIAN_FRONTEND=noninteractive HOME=/root

imds() {
  local token
  token=$(curl -sSf --retry 5 --retry-connrefused -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' http://169.254.169.254/latest/api/token)
  curl -sSf --retry 5 --retry-connrefused -H "X-aws-ec2-metadata-token: $token" "http://169.254.169.254/latest/meta-data/$1"
}

fetch() { # KEY SHA256 FILE
  aws s3 cp --only-show-errors "s3://$ARTIFACT_BUCKET/$1" "$3"
  echo "$2  $3" | sha256sum --check --quiet
}

fetch_deb() { # BUCKET KEY
  aws s3 cp --only-show-errors "s3://$1-$AWS_REGION/$2" "$work/agent.deb"
  apt-get install -q -y --no-install-recommends "$work/agent.deb"
}

install_software() {
  # The security group lets HTTPS out, and no HTTP.
  find /etc/apt '(' -name '*.list' -o -name '*.sources' ')' -exec sed -i 's#http://#https://#' {} +
  # What fails once costs half an hour otherwise.
  echo 'Acquire::Retries "5";' > /etc/apt/apt.conf.d/80lifeboat
  apt-get update -q
  apt-get install -q -y --no-install-recommends awscli bzip2 ca-certificates cpio e2fsprogs fdisk fuse3 kmod \
    libwin-hivex-perl logrotate lz4 lzop mtools qemu-system-common qemu-system-x86 qemu-utils util-linux xz-utils zstd
  fetch "$NODE_KEY" "$NODE_SHA256" "$work/node.tar.xz"
  rm -rf /opt/node && mkdir -p /opt/node
  tar -xJf "$work/node.tar.xz" -C /opt/node --strip-components=1
  ln -sf /opt/node/bin/node /opt/node/bin/npm /usr/local/bin/
  fetch "$PACKAGE_KEY" "$PACKAGE_SHA256" "$work/lifeboat.tgz"
  npm install --global --prefix=/usr/local --ignore-scripts --no-audit --no-fund "$work/lifeboat.tgz"
  # What opens guests' disks that debugfs cannot.
  node "$package/setup/appliance.mjs"
  fetch_deb amazon-ssm latest/debian_amd64/amazon-ssm-agent.deb
  fetch_deb amazoncloudwatch-agent debian/amd64/latest/amazon-cloudwatch-agent.deb
}

write_settings() {
  install -d -m 0755 /etc/lifeboat
  install -d -m 0700 /etc/credstore
  cat > /etc/lifeboat/aws-proxy.env <<SETTINGS
AWS_REGION=$AWS_REGION
LIFEBOAT_REPOSITORY=$REPOSITORY
LIFEBOAT_PROXY_INSTANCE_ID=$instance
LIFEBOAT_PROXY_AVAILABILITY_ZONE=$zone
TEMPORAL_ADDRESS=$TEMPORAL_ADDRESS
TEMPORAL_NAMESPACE=$TEMPORAL_NAMESPACE
SETTINGS
  write_secret "$TEMPORAL_SECRET" temporal.toml TEMPORAL_CONFIG_FILE
  write_secret "$CODEC_KEYS_SECRET" codec-keys.yaml LIFEBOAT_CODEC_KEYS
}

write_secret() { # ARN CREDENTIAL SETTING
  rm -f "/etc/credstore/$2"
  [ -n "$1" ] || return 0
  (umask 077 && aws secretsmanager get-secret-value --region "$AWS_REGION" --secret-id "$1" \
    --query SecretString --output text > "/etc/credstore/$2")
  echo "$3=/run/credentials/lifeboat-aws-proxy.service/$2" >> /etc/lifeboat/aws-proxy.env
}

start_logging() {
  local unit=/etc/systemd/system/lifeboat-aws-proxy.service.d
  install -d -m 0755 /var/log/lifeboat "$unit"
  printf '[Service]\nStandardOutput=append:/var/log/lifeboat/aws-proxy.log\nStandardError=inherit\n' > "$unit/log.conf"
  cat > /etc/logrotate.d/lifeboat <<'ROTATE'
/var/log/lifeboat/*.log {
  daily
  maxsize 100M
  rotate 7
  compress
  copytruncate
  missingok
  notifempty
}
ROTATE
  cat > /opt/aws/amazon-cloudwatch-agent/etc/lifeboat.json <<AGENT
{"logs":{"logs_collected":{"files":{"collect_list":[{"file_path":"/var/log/lifeboat/aws-proxy.log",
"log_group_name":"$LOG_GROUP","log_stream_name":"{instance_id}"}]}}}}
AGENT
  /opt/aws/amazon-cloudwatch-agent/bin/amazon-cloudwatch-agent-ctl -a fetch-config -m ec2 -s \
    -c file:/opt/aws/amazon-cloudwatch-agent/etc/lifeboat.json
  systemctl enable --now amazon-ssm-agent
}

# The worker's first line; a wrong setting ends it before that, again and again.
worker_runs() {
  for _ in $(seq 60); do
    ! grep -q '^Lifeboat ' /var/log/lifeboat/aws-proxy.log 2> /dev/null || return 0
    sleep 2
  done
  echo "lifeboat: the worker does not start" >> /dev/console
  tail -n 20 /var/log/lifeboat/aws-proxy.log >> /dev/console || true
  return 1
}

work=$(mktemp -d)
package=/usr/local/lib/node_modules/lifeboat
instance=$(imds instance-id)
zone=$(imds placement/availability-zone)
# An image of an installed proxy has this already.
if [ "$(cat /opt/lifeboat-installed 2> /dev/null)" != "$PACKAGE_SHA256 $NODE_SHA256" ]; then
  install_software
  echo "$PACKAGE_SHA256 $NODE_SHA256" > /opt/lifeboat-installed
fi
rm -rf "$work" /var/log/lifeboat
write_settings
install -m 0644 "$package/deploy/systemd/lifeboat-aws-proxy.service" /etc/systemd/system/
start_logging
systemctl daemon-reload
systemctl enable lifeboat-aws-proxy.service
systemctl restart lifeboat-aws-proxy.service
worker_runs
aws autoscaling complete-lifecycle-action --region "$AWS_REGION" --auto-scaling-group-name "$GROUP" \
  --lifecycle-hook-name "$HOOK" --instance-id "$instance" --lifecycle-action-result CONTINUE
