# A systemd of its own, with the units of a directory and the programs of this host: the first process of its namespaces.
#   real-systemd.sh ROOT NODE PROJECT CGROUP
# ROOT/units and ROOT/etc are what the test put there; logs of units go to ROOT/logs.
set -eu
root=$1 node=$2 project=$3 cgroup=$4

# Into cgroups of its own, so that what systemd makes of them is below these; cpusets have to be filled in first, and are not needed.
# All of the list before the first move, which changes it.
mapfile -t lines < /proc/self/cgroup
for line in "${lines[@]}"; do
  IFS=: read -r _ controllers path <<< "$line"
  directory=/sys/fs/cgroup/${controllers#name=}$path/$cgroup
  case $controllers in '' | cpuset) continue ;; esac
  [ -d "${directory%/*}" ] || continue
  mkdir -p "$directory"
  echo $$ > "$directory/cgroup.procs"
done

exec unshare --mount --pid --ipc --uts --cgroup --fork --kill-child bash -eu -s "$root" "$node" "$project" <<'INSIDE'
root=$1 node=$2 project=$3
new=$root/new
mkdir -p "$new"
mount -t tmpfs tmpfs "$new"
cd "$new"
mkdir -p usr bin sbin lib lib64 dev proc sys run tmp root home var/lib var/log var/tmp opt/node opt/lifeboat logs etc old
for path in usr bin sbin lib lib64 dev sys; do mount --rbind "/$path" "$path"; done
mount --make-rprivate dev
mount --make-rprivate sys
mount -t proc proc proc
mount --bind "$root/logs" logs
cp -r "$root/etc/." etc/
for path in passwd group nsswitch.conf ld.so.cache ssl; do [ ! -e "/etc/$path" ] || cp -rL "/etc/$path" etc/; done
echo 0123456789abcdef0123456789abcdef > etc/machine-id
# Where the unit looks for the command. This project's folders may be links, and in places that units do not see (/root, /tmp).
mount --bind "$(dirname "$node")" opt/node
for entry in "$project"/* "$project/.lifeboat"; do
  to=opt/lifeboat/${entry##*/}
  if [ -d "$entry" ]; then mkdir "$to"; else touch "$to"; fi
  mount --bind "$(realpath "$entry")" "$to"
done
mount -t tmpfs tmpfs usr/local
mkdir usr/local/bin
printf '#!/bin/sh\nexec /opt/node/node /opt/lifeboat/bin/lifeboat.mjs "$@"\n' > usr/local/bin/lifeboat
chmod 755 usr/local/bin/lifeboat
# None of this host's own units.
mkdir minimal
for target in sysinit basic shutdown umount final multi-user network network-online default; do
  printf '[Unit]\nDefaultDependencies=no\n' > "minimal/$target.target"
done
mount --bind minimal usr/lib/systemd/system
pivot_root . old
umount -l old
# As on a host that has booted: what one unit mounts for another is seen.
mount --make-rshared /
exec env -i container=lxc PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --system --log-target=null --show-status=no
INSIDE
