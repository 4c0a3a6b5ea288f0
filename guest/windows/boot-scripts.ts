import { GuestNotAdaptableError, type BootScript, type HostEntry } from '../port';

/** What Lifeboat keeps in a Windows guest. */
export const STATE_DIRECTORY = '/ProgramData/Lifeboat';
/** Put there by the prepare script, started by a scheduled task whenever Windows starts. */
export const RUNNER = `${STATE_DIRECTORY}/Start-Lifeboat.ps1`;
/** Names the run whose boot scripts are to run; its directory is beside it. */
export const RUN_ID = `${STATE_DIRECTORY}/run-id`;

export const RUN_ID_PATTERN = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
/** What the runner knows how to start. */
const SCRIPT_NAME = /^[A-Za-z0-9._-]{1,90}\.(ps1|cmd|bat)$/i;
/** Two digits number the scripts. */
const MAX_SCRIPTS = 100;

/**
 * @throws Error where the run id would not do as a file name, or the scripts are too many
 * @throws GuestNotAdaptableError where the runner would not know how to start a script
 */
export function checkWindowsBootScripts(scripts: BootScript[], runId: string): void {
  if (!RUN_ID_PATTERN.test(runId)) throw new Error(`"${runId}" is no run id.`);
  if (scripts.length > MAX_SCRIPTS) throw new Error(`There may be at most ${MAX_SCRIPTS} boot scripts.`);
  for (const { name } of scripts) {
    if (!SCRIPT_NAME.test(name)) {
      throw new GuestNotAdaptableError(
        `The guest runs Windows, which has no way to run the boot script "${name}": give it a name that ends in .ps1, .cmd or .bat.`,
      );
    }
  }
}

/** The files of a run: the scripts, numbered in order, their environment, and the run id that the runner looks for. */
export function bootFiles(
  scripts: BootScript[],
  runId: string,
  hosts: HostEntry[],
): { path: string; content: Buffer }[] {
  const directory = `${STATE_DIRECTORY}/${runId}`;
  return [
    ...scripts.map(({ name, content }, index) => ({
      path: `${directory}/scripts/${String(index).padStart(2, '0')}-${name}`,
      content: Buffer.from(content),
    })),
    { path: environmentPath(runId), content: Buffer.from(environment(runId, hosts), 'latin1') },
    { path: RUN_ID, content: Buffer.from(`${runId}\r\n`, 'latin1') },
  ];
}

/** Of the file that the scripts' environment is in. */
export function environmentPath(runId: string): string {
  return `${STATE_DIRECTORY}/${runId}/environment`;
}

/** Variables that the scripts find in their environment, as lines NAME=value. */
function environment(runId: string, hosts: HostEntry[]): string {
  const variables = [`LIFEBOAT_RUN_ID=${runId}`];
  for (const { address, names } of hosts) {
    for (const name of names) {
      variables.push(`LIFEBOAT_ADDRESS_${name.toUpperCase().replace(/[^A-Z0-9]/g, '_')}=${address}`);
    }
  }
  return variables.map((variable) => `${variable}\r\n`).join('');
}
