#!/bin/sh
# Runs once on web, at its first boot on EC2, as root. The shop's page shows the line that this leaves behind, and
# what it prints goes to the instance's console.
set -eu
line="Recovered by Lifeboat on EC2 at $(date -u +%Y-%m-%dT%H:%M:%SZ)."
mkdir -p /var/lib/shop
# Written aside and renamed: the page never reads half a line.
echo "$line" > /var/lib/shop/site.new
mv /var/lib/shop/site.new /var/lib/shop/site
echo "shop: $line"
