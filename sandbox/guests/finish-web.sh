#!/bin/sh
# Runs inside the tree of the guest "web": the database server of the common tree is not its business.
set -eu
dpkg --purge redis-server redis-tools
systemctl enable shop-web.service
