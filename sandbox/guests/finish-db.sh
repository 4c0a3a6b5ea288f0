#!/bin/sh
# Runs inside the tree of the guest "db".
set -eu
echo 'include /etc/redis/shop.conf' >> /etc/redis/redis.conf
chown redis:redis /etc/redis/shop.conf
systemctl enable redis-server.service
