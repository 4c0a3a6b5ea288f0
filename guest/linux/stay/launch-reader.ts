import { ADDRESS, LAUNCH_DATA_HEADER, MAX_USER_DATA_BYTES, PLACEHOLDER, RUN_ID } from '../../launch-data';
import { BLOCK_BEGIN, BLOCK_END } from '../changes/marked-text';
import { type HttpProgram, httpRequest } from './http-program';

/** What {@link launchReader} keeps in a guest: what is to be filled in, and what was filled in last. */
export interface LaunchPaths {
  directory: string;
  /** The boot scripts' environment. */
  environment: string;
}

/**
 * Seconds for an address by DHCP and an answer of the metadata service: as long as network-online.target waits. A boot that has
 * what an earlier one was told waits for less, as it can go on.
 */
const WAIT_SECONDS = 120;
const WAIT_AGAIN_SECONDS = 30;

/**
 * The script that reads the launch data at each boot. It fills in what the adaptation left as it is with placeholders, so that it
 * says the same however often it runs and whatever it was told before. What it takes is checked whole before anything is written:
 * user data can be given by everybody who may launch instances. Data that was filled in already changes nothing, so that
 * what a person changed since stays.
 *
 * LIFEBOAT_ROOT, LIFEBOAT_IMDS and LIFEBOAT_WAIT (seconds) are for tests.
 */
export function launchReader({ directory, environment }: LaunchPaths, program: HttpProgram): string {
  return `#!/bin/sh
# Reads what this launch of the machine is told by its user data (IMDSv2): the run's id and addresses of other machines.
LC_ALL=C
export LC_ALL
umask 022
root=\${LIFEBOAT_ROOT:-}
imds=\${LIFEBOAT_IMDS:-169.254.169.254:80}
state=$root${directory}
scratch=$root/run/lifeboat-launch
data=$scratch/data
begin='${BLOCK_BEGIN}'
end='${BLOCK_END}'

say() {
  echo "lifeboat: $*"
}
give_up() {
  if [ -f "$state/applied" ]; then
    say "launch data was not read: $1. What $(sed -n 2p "$state/applied") told stays"
    exit 0
  fi
  say "launch data was not read: $1. Names of other machines lead nowhere, and no boot script runs"
  exit 1
}
rm -rf "$scratch"
mkdir -p "$scratch" || give_up "$scratch cannot be made"
trap 'rm -rf "$scratch"' EXIT

# request METHOD PATH HEADER FILE: puts the answer's body into the file, and prints its status.
request() {
${httpRequest(program)}
}
has_address() {
  for card in "$root"/sys/class/net/*/device; do
    card=\${card%/device}
    grep -q "^\${card##*/}[[:space:]]" "$root/proc/net/route" && return 0
  done
  return 1
}
seconds() {
  read -r up rest < /proc/uptime
  echo "\${up%%.*}"
}
# get METHOD PATH HEADER FILE WHAT: fails where it is worth asking again, and says why.
get() {
  : > "$4"
  status=$(request "$1" "$2" "$3" "$4") || status=0
  why="the metadata service gave no $5 (status $status)"
  case $status in
    200) return 0 ;;
    # A token that has expired, or came damaged, is another the next time.
    0 | 401 | 429 | 5??) return 1 ;;
    *) give_up "$why" ;;
  esac
}
ask() {
  why='no network card has an address'
  has_address || return 1
  get PUT /latest/api/token 'X-aws-ec2-metadata-token-ttl-seconds: 60' "$scratch/token" token || return 1
  token=$(cat "$scratch/token")
  case $token in
    '' | *[!A-Za-z0-9_=+/-]*) give_up 'the metadata service gave a token that is none' ;;
  esac
  get GET /latest/user-data "X-aws-ec2-metadata-token: $token" "$data" 'user data'
}
wait=${WAIT_SECONDS}
[ -f "$state/applied" ] && wait=${WAIT_AGAIN_SECONDS}
deadline=$(($(seconds) + \${LIFEBOAT_WAIT:-$wait}))
until ask; do
  [ "$(seconds)" -lt "$deadline" ] || give_up "$why"
  sleep 1
done

same() {
  [ -f "$2" ] && [ "$(sha256sum < "$1")" = "$(sha256sum < "$2")" ]
}
[ "$(wc -c < "$data")" -le ${MAX_USER_DATA_BYTES} ] || give_up 'the user data is too long'
[ "$(tr -d 'A-Za-z0-9._: \\n-' < "$data" | wc -c)" -eq 0 ] || give_up 'the user data is none of Lifeboat'
[ "$(head -n 1 "$data")" = '${LAUNCH_DATA_HEADER}' ] || give_up 'the user data is none of Lifeboat'
[ -z "$(tail -c 1 "$data")" ] || give_up 'the user data is cut off'
[ "$(grep -c '^run ' "$data")" -eq 1 ] || give_up 'the user data does not name one run'
sed 1d "$data" > "$scratch/lines"
wrong=$(grep -Evnx 'run ${RUN_ID}|address ${PLACEHOLDER} ${ADDRESS}' "$scratch/lines" | head -n 1)
[ -z "$wrong" ] || give_up "line $((\${wrong%%:*} + 1)) of the user data is none of Lifeboat"
twice=$(sed -n 's/^address \\([^ ]*\\) .*/\\1/p' "$scratch/lines" | sort | uniq -d | head -n 1)
[ -z "$twice" ] || give_up "the user data has two addresses for $twice"
run=$(sed -n 's/^run //p' "$scratch/lines")
if same "$data" "$state/applied"; then
  say "launch data of run $run read, nothing has changed"
  exit 0
fi

# Of each line, what puts it into the place of its placeholder. Only characters that sed takes for themselves are left in it;
# a point that stands for any character finds nothing else among addresses.
sed -n -e 's/^run \\(.*\\)/s|^export LIFEBOAT_RUN_ID=.*|export LIFEBOAT_RUN_ID=\\1|/p' \\
  -e 's/^address \\([^ ]*\\) \\(.*\\)/s|^\\1 |\\2 |\\ns|=\\1$|=\\2|/p' "$scratch/lines" > "$scratch/rules"
fill_in() {
  sed -f "$scratch/rules" "$1" > "$2" || give_up "$1 cannot be filled in"
  left=$(grep -Eo '(^|=)198\\.1[89]\\.[0-9.]*' "$2" | head -n 1)
  [ -z "$left" ] || give_up "the user data has no address for \${left#=}"
}
# The file keeps its owner, mode and label, and is there whole at any time.
replace() {
  file=$(readlink -f "$2") && next=$file.lifeboat || return 1
  if same "$1" "$file"; then
    rm -f "$next"
    return 0
  fi
  chattr -i "$file" 2> /dev/null
  cp -a "$file" "$next" && cat "$1" > "$next" && sync && mv -f "$next" "$file"
}
fill_in "$state/environment" "$scratch/environment"
if [ -f "$state/hosts" ]; then
  fill_in "$state/hosts" "$scratch/block"
  hosts=$root/etc/hosts
  if [ "$(sed -n "/^$begin\\$/,\\$p" "$hosts" | grep -cFx -e "$begin" -e "$end")" -eq 2 ]; then
    sed -e "/^$begin\\$/,/^$end\\$/{/^$begin\\$/!{/^$end\\$/!d;};}" -e "/^$begin\\$/r $scratch/block" \\
      "$hosts" > "$scratch/hosts" || give_up '/etc/hosts cannot be read'
    replace "$scratch/hosts" "$hosts" || give_up '/etc/hosts cannot be written'
  else
    say "/etc/hosts has no block of Lifeboat's any more and is left alone"
  fi
fi
replace "$scratch/environment" "$root${environment}" || give_up "the boot scripts' environment cannot be written"
cat "$data" > "$state/applied.lifeboat" && sync && mv -f "$state/applied.lifeboat" "$state/applied" ||
  give_up "$state cannot be written"
say "launch data of run $run read"
exit 0
`;
}
