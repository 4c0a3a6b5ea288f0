#!/bin/sh
# install-files.sh SOURCE TREE: puts the files below SOURCE into TREE, owned by root, whatever the umask of the
# checkout that they come from was.
set -eu
source=$1 tree=$2
cd "$source"
find . -type f | while read -r file; do
  if [ -x "$file" ]; then mode=0755; else mode=0644; fi
  install -D -o root -g root -m "$mode" "$file" "$tree/$file"
done
