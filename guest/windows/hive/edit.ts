import { constants } from 'node:fs';
import { chmod, chown, mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runTool, ToolMissingError } from '../../../host/run-tool';
import { BASE_BLOCK_BYTES, HiveError, MAX_HIVE_BYTES } from './base-block';
import { differences, sameValue, type Difference } from './compare';
import { HiveReader, type RegistryValue } from './reader';

/** What shall become of a hive; keys are paths from its root with backslashes between the names. */
export type RegistryEdit =
  | { kind: 'add key'; key: string }
  | { kind: 'set'; key: string; value: RegistryValue }
  | { kind: 'remove value'; key: string; name: string }
  | { kind: 'remove key'; key: string };

/** Stands for the hive's root in what hivexregedit reads. */
const PREFIX = 'HKEY_LOCAL_MACHINE';
/** The user that the tool becomes where this process is root: "nobody" of every Linux. */
const NOBODY = 65534;
/** Merging takes a tenth of a second for a hive of 15 MiB. */
const CPU_SECONDS = 60;
const WALL_SECONDS = 180;
/** Perl with its libraries, and the hive several times: hivex holds it in memory, and doubles it to make room. */
const BASE_MEMORY = 512 * 1024 * 1024;
const MEMORY_PER_BYTE = 4;
/** Room for what is added to a hive: a few values, in whole pages. */
const GROWTH_BYTES = 1024 * 1024;
/** Exit code of setpriv and prlimit where the program is not there. */
const NOT_FOUND = 127;
/** Names that need no escape in the tool's input; nothing that is edited has another. */
const PLAIN_NAME = /^[A-Za-z0-9 ()_.-]+$/;

/**
 * Edits a clean hive by hivexregedit, in a process without rights and with bounds, as it is C code on a stranger's
 * data; then reads the result by other code and compares it with what was there: everything that was asked for, and
 * nothing else, must have changed.
 * @throws HiveError where the hive is damaged, or the tool did anything else
 * @throws ToolMissingError
 */
export async function editHive(hive: Buffer, edits: RegistryEdit[]): Promise<Buffer> {
  if (edits.length === 0) return hive;
  const before = new HiveReader(hive);
  const edited = await mergeByHivex(hive, regeditText(before, edits));
  const after = new HiveReader(edited);
  expectEdited(before, after, edits);
  return edited;
}

/** The edits as a file of regedit's. Parents that are missing are made first, as the tool makes one level only. */
function regeditText(before: HiveReader, edits: RegistryEdit[]): string {
  const lines = ['Windows Registry Editor Version 5.00', ''];
  const made = new Set<string>();
  for (const edit of edits) {
    const parts = edit.key.split('\\');
    if (!parts.every((part) => PLAIN_NAME.test(part))) throw new Error(`"${edit.key}" is no key to edit.`);
    if (edit.kind === 'remove key') {
      lines.push(`[-${PREFIX}\\${edit.key}]`, '');
      continue;
    }
    const depths = edit.kind === 'set' ? parts.length - 1 : edit.kind === 'add key' ? parts.length : 0;
    for (let depth = 1; depth <= depths; depth++) {
      const parent = parts.slice(0, depth).join('\\');
      if (made.has(parent) || before.key(parent) !== undefined) continue;
      made.add(parent);
      lines.push(`[${PREFIX}\\${parent}]`, '');
    }
    if (edit.kind === 'add key') continue;
    const name = edit.kind === 'set' ? edit.value.name : edit.name;
    if (!PLAIN_NAME.test(name)) throw new Error(`"${name}" is no value to edit.`);
    const data =
      edit.kind === 'set'
        ? `hex(${edit.value.type.toString(16)}):${[...edit.value.data].map((byte) => byte.toString(16).padStart(2, '0')).join(',')}`
        : '-';
    lines.push(`[${PREFIX}\\${edit.key}]`, `"${name}"=${data}`, '');
  }
  return `${lines.join('\n')}\n`;
}

async function mergeByHivex(hive: Buffer, regedit: string): Promise<Buffer> {
  const directory = await mkdtemp(join(tmpdir(), 'lifeboat-hive-'));
  try {
    const hivePath = join(directory, 'hive');
    const editsPath = join(directory, 'edits.reg');
    await writeFile(hivePath, hive, { mode: 0o600 });
    await writeFile(editsPath, regedit, { mode: 0o644 });
    const isRoot = process.getuid?.() === 0;
    if (isRoot) {
      // The tool may enter the directory and write the hive's file, and put nothing else into the hive's place.
      await chmod(directory, 0o711);
      // Whatever this process's umask has made of it.
      await chmod(editsPath, 0o644);
      await chown(hivePath, NOBODY, NOBODY);
    }
    const identity = isRoot
      ? [`--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups', '--bounding-set=-all', '--inh-caps=-all']
      : [];
    const { exitCode, stderr } = await runTool(
      'env',
      [
        // None of this process's environment, which has keys of AWS in it.
        '-i',
        'LC_ALL=C',
        'PATH=/usr/sbin:/usr/bin:/sbin:/bin',
        'prlimit',
        `--as=${BASE_MEMORY + MEMORY_PER_BYTE * hive.length}`,
        `--cpu=${CPU_SECONDS}`,
        `--fsize=${hive.length + GROWTH_BYTES}`,
        '--core=0',
        '--nofile=64',
        'setpriv',
        '--no-new-privs',
        ...identity,
        'hivexregedit',
        '--merge',
        '--prefix',
        PREFIX,
        hivePath,
        editsPath,
      ],
      { timeoutSeconds: WALL_SECONDS, maxOutputBytes: GROWTH_BYTES },
    );
    if (exitCode === NOT_FOUND) throw new ToolMissingError('hivexregedit');
    if (exitCode !== 0) {
      throw new HiveError(
        `hivexregedit cannot change it: ${(stderr.trim().split('\n')[0] ?? '').slice(0, 200)}`,
      );
    }
    return await readResult(hivePath, hive.length + GROWTH_BYTES);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** What the tool left is read as what a stranger left: neither through a link nor without an end. */
async function readResult(path: string, maxBytes: number): Promise<Buffer> {
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    const stat = await file.stat();
    if (
      !stat.isFile() ||
      stat.nlink !== 1 ||
      stat.size > maxBytes ||
      stat.size > BASE_BLOCK_BYTES + MAX_HIVE_BYTES
    ) {
      throw new HiveError('hivexregedit left something else in its place');
    }
    return await file.readFile();
  } finally {
    await file.close();
  }
}

function expectEdited(before: HiveReader, after: HiveReader, edits: RegistryEdit[]): void {
  for (const edit of edits) {
    if (!isDone(edit, after))
      throw new HiveError(`hivexregedit did not change ${edit.key} as it was asked to`);
  }
  for (const difference of differences(before, after)) {
    if (!edits.some((edit) => explains(edit, difference))) {
      throw new HiveError(`hivexregedit changed ${difference.key}, which it was not asked to`);
    }
  }
}

function isDone(edit: RegistryEdit, after: HiveReader): boolean {
  switch (edit.kind) {
    case 'add key':
      return after.key(edit.key) !== undefined;
    case 'remove key':
      return after.key(edit.key) === undefined;
    case 'remove value':
      return after.value(edit.key, edit.name) === undefined;
    case 'set':
      return sameValue(after.value(edit.key, edit.value.name), edit.value);
  }
}

function explains(edit: RegistryEdit, difference: Difference): boolean {
  const key = edit.key.toUpperCase();
  const at = difference.key.toUpperCase();
  switch (difference.kind) {
    case 'key removed':
      return edit.kind === 'remove key' && key === at;
    case 'key added':
      return (edit.kind === 'set' || edit.kind === 'add key') && (key === at || key.startsWith(`${at}\\`));
    case 'value': {
      const name =
        edit.kind === 'set' ? edit.value.name : edit.kind === 'remove value' ? edit.name : undefined;
      return key === at && name?.toUpperCase() === difference.name;
    }
  }
}
