import { runTool } from '../../host/run-tool';

/** What a partition or whole disk holds, as libblkid sees it. */
export interface FileSystemIdentity {
  /** Such as ext4, xfs, swap, LVM2_member; absent where nothing is recognized. */
  type?: string;
  uuid?: string;
  label?: string;
}

const BLKID_SECONDS = 30;
/** Exit codes of `blkid -p` for "nothing found" and "more than one thing found". */
const NOTHING = 2;
const AMBIVALENT = 8;

/** Probes a range of a disk for a file system (or swap, LUKS, …), read only. */
export async function identifyFileSystem(
  diskPath: string,
  range?: { offset: number; size: number },
): Promise<FileSystemIdentity> {
  const where = range === undefined ? [] : ['-O', String(range.offset), '-S', String(range.size)];
  const { exitCode, stdout, stderr } = await runTool(
    'blkid',
    ['-p', '-o', 'export', ...where, '--', diskPath],
    {
      timeoutSeconds: BLKID_SECONDS,
    },
  );
  if (exitCode === NOTHING || exitCode === AMBIVALENT) return {};
  if (exitCode !== 0)
    throw new Error(`blkid cannot read ${diskPath}: ${stderr.trim() || `exit code ${exitCode}`}`);
  return parseIdentity(stdout.toString('latin1'));
}

/** Reads the output of `blkid -o export`. Exported for tests: labels and UUIDs come from a guest's disk. */
export function parseIdentity(output: string): FileSystemIdentity {
  const identity: FileSystemIdentity = {};
  for (const line of output.split('\n')) {
    const [key, ...rest] = line.split('=');
    const value = rest.join('=');
    if (key === 'TYPE' && /^[\w-]{1,32}$/.test(value)) identity.type = value;
    // Hex and dashes only: the UUID goes into files of the guest.
    if (key === 'UUID' && /^[0-9A-Fa-f-]{4,36}$/.test(value)) identity.uuid = value;
    // For comparison only. What a shell would take for more than a letter is escaped; Latin-1, as fstab is read.
    if (key === 'LABEL' && /^[\x20-\x7e\x80-\xff]{1,256}$/.test(value))
      identity.label = value.replace(/\\(.)/g, '$1');
  }
  return identity;
}
