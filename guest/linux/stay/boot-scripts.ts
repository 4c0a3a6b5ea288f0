import { GuestNotAdaptableError, type BootScript, type HostEntry } from '../../port';

/** What Lifeboat keeps in a guest. */
export const STATE_DIRECTORY = '/var/lib/lifeboat';
export const BOOT_DIRECTORY = `${STATE_DIRECTORY}/boot.d`;
export const RUNNER = `${STATE_DIRECTORY}/run-boot-scripts`;
export const UNIT = '/etc/systemd/system/lifeboat-boot.service';
export const UNIT_LINK = '/etc/systemd/system/multi-user.target.wants/lifeboat-boot.service';

/** What the journal calls the runner, at the beginning of what it says on the console. */
export const RUNNER_IDENTIFIER = 'lifeboat-boot';

/**
 * Runs each script once for a run id. A script that the machine was switched off in has no status, and runs again.
 * Each boot tells the statuses anew. They are told twice, by the journal and straight to the console: the kernel's own
 * messages may cut a line in two, and the journal's may come behind a prompt, or behind a script's last words.
 * The run's id is that of the environment, which a launch fills in.
 * It waits for an address by itself, for as long as network-online.target would: in many guests nothing makes that target
 * wait, be it by a mask. A route of a card is there as soon as its address is (proc(5)).
 */
export const RUNNER_SCRIPT = `#!/bin/sh
# Runs the boot scripts of one failover, each once, in order.
directory=${BOOT_DIRECTORY}/$1
[ -d "$directory/scripts" ] || exit 0
. "$directory/environment"
mkdir -p "$directory/status"
has_address() {
  for card in /sys/class/net/*/device; do
    card=\${card%/device}
    grep -q "^\${card##*/}[[:space:]]" /proc/net/route && return 0
  done
  return 1
}
tell() {
  echo "$1"
  # Where this guest lets nobody write there, what the journal forwards remains.
  printf '\\n%s\\n' "$1" 2> /dev/null > /dev/console || :
}
seconds=0
while [ "$seconds" -lt 120 ] && ! has_address; do
  sleep 1
  seconds=$((seconds + 1))
done
for script in "$directory"/scripts/*; do
  file=\${script##*/}
  name=\${file#[0-9][0-9]-}
  if [ ! -s "$directory/status/$file" ]; then
    tell "lifeboat: boot script $name of run $LIFEBOAT_RUN_ID begins"
    "$script" < /dev/null
    echo "$?" > "$directory/status/$file"
  fi
  tell "lifeboat: boot script $name of run $LIFEBOAT_RUN_ID exit status $(cat "$directory/status/$file")"
done
exit 0
`;

/**
 * /dev/console is the serial port: see the kernel's command line.
 * @param requires a unit without whose success the scripts do not run
 */
export function bootUnit(runId: string, requires?: string): string {
  const required = requires === undefined ? '' : `Requires=${requires}\nAfter=${requires}\n`;
  return `[Unit]
Description=Lifeboat boot scripts
Wants=network-online.target
After=network-online.target
${required}ConditionPathIsDirectory=${BOOT_DIRECTORY}/${runId}

[Service]
Type=oneshot
ExecStart=/bin/sh ${RUNNER} ${runId}
StandardOutput=journal+console
StandardError=journal+console
SyslogIdentifier=${RUNNER_IDENTIFIER}
TimeoutStartSec=infinity

[Install]
WantedBy=multi-user.target
`;
}

/** Of the file that the scripts' environment is in. */
export function environmentPath(runId: string): string {
  return `${BOOT_DIRECTORY}/${runId}/environment`;
}

/** Variables that the scripts find in their environment, as a shell script that exports them. */
export function bootEnvironment(runId: string, hosts: HostEntry[]): string {
  const variables = [`LIFEBOAT_RUN_ID=${runId}`];
  for (const { address, names } of hosts) {
    for (const name of names) {
      variables.push(`LIFEBOAT_ADDRESS_${name.toUpperCase().replace(/[^A-Z0-9]/g, '_')}=${address}`);
    }
  }
  return variables.map((variable) => `export ${variable}\n`).join('');
}

/** Two digits number the scripts. */
const MAX_SCRIPTS = 100;

/**
 * @throws Error where a name or the run id would not do as a file name
 * @throws GuestNotAdaptableError where nothing in the guest would know how to start a script
 */
export function checkBootScripts(scripts: BootScript[], runId: string): void {
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(runId)) throw new Error(`"${runId}" is no run id.`);
  if (scripts.length > MAX_SCRIPTS) throw new Error(`There may be at most ${MAX_SCRIPTS} boot scripts.`);
  for (const { name, content } of scripts) {
    if (!/^[A-Za-z0-9._-]{1,100}$/.test(name)) throw new Error(`"${name}" is no name for a boot script.`);
    // A plan may have scripts for Windows, which need none.
    if (content[0] !== 0x23 || content[1] !== 0x21)
      throw new GuestNotAdaptableError(
        `The guest runs Linux, which has no way to run the boot script "${name}": begin it with an interpreter line like #!/bin/sh.`,
      );
  }
}
