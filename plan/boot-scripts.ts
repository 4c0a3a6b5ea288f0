import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { open, realpath } from 'node:fs/promises';
import path from 'node:path';
import { show } from './schema-problems';
import { type BootScriptReference } from './schema';

/** A boot script with its text, to be stored in the repository bucket under its digest. */
export interface LoadedBootScript extends BootScriptReference {
  content: Buffer;
}

/** Enough for any script that a person writes; more belongs into the VM or an artifact store. */
const MAX_SCRIPT_BYTES = 64 * 1024;

/** A boot script that cannot be used; the message says why and what to do. */
export class BootScriptError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'BootScriptError';
  }
}

/**
 * Reads a boot script that a plan names. A plan may come from somebody else, and what a boot script holds ends up in
 * a bucket: so only regular files inside the plan's own folder are read, wherever symbolic links lead.
 * @throws BootScriptError
 */
export async function readBootScript(planDirectory: string, name: string): Promise<LoadedBootScript> {
  const shown = show(name);
  const root = await realpath(planDirectory);
  const wanted = path.resolve(root, name);
  if (path.isAbsolute(name) || !isInside(root, wanted))
    throw new BootScriptError(
      `${shown} is outside the plan's folder; put the script beside the plan and name it relative to it`,
    );
  const real = await realpath(wanted).catch((cause: NodeJS.ErrnoException) => {
    throw new BootScriptError(
      cause.code === 'ENOENT' || cause.code === 'ENOTDIR'
        ? `there is no file ${shown} in the plan's folder; create it or correct the path`
        : `${shown} cannot be read (${cause.code ?? cause.message})`,
    );
  });
  if (!isInside(root, real))
    throw new BootScriptError(
      `${shown} is a symbolic link that leads out of the plan's folder; put the script itself there`,
    );
  const base = path.basename(name);
  // The name becomes a file name in the guest and a part of a systemd unit.
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/.test(base))
    throw new BootScriptError(
      `${shown} has a name with other characters than letters, digits, ".", "_" and "-"; rename it`,
    );
  const content = await readRegularFile(real, shown);
  if (!isForWindows(base)) checkInterpreter(content, shown);
  return { name: base, sha256: createHash('sha256').update(content).digest('hex'), content };
}

async function readRegularFile(file: string, shown: string): Promise<Buffer> {
  // No link is followed any more, and a pipe does not block.
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  const handle = await open(file, flags).catch((cause: NodeJS.ErrnoException) => {
    throw new BootScriptError(`${shown} cannot be read (${cause.code ?? cause.message})`);
  });
  try {
    const stat = await handle.stat();
    if (!stat.isFile()) throw new BootScriptError(`${shown} is not a regular file; name the script itself`);
    if (stat.size > MAX_SCRIPT_BYTES)
      throw new BootScriptError(
        `${shown} has ${stat.size} bytes; a boot script has at most ${MAX_SCRIPT_BYTES}`,
      );
    return await handle.readFile();
  } finally {
    await handle.close();
  }
}

/** Windows knows what runs a script by the end of its name, and nothing of interpreter lines. */
function isForWindows(name: string): boolean {
  return /\.(ps1|cmd|bat)$/i.test(name);
}

/** A script that the guest's kernel could not start would be found out at the worst time: during a failover. */
function checkInterpreter(content: Buffer, shown: string): void {
  const firstLine = content.subarray(0, 256).toString('latin1').split('\n', 1)[0] ?? '';
  if (!/^#!\s*\//.test(firstLine))
    throw new BootScriptError(
      `${shown} does not begin with an interpreter line; begin it with one like #!/bin/sh, or give it a name that ends in .ps1, .cmd or .bat if it is for Windows`,
    );
  if (firstLine.endsWith('\r'))
    throw new BootScriptError(
      `${shown} has Windows line ends, with which it cannot run; save it with Unix line ends`,
    );
}

function isInside(root: string, file: string): boolean {
  const relative = path.relative(root, file);
  return (
    relative !== '' &&
    relative !== '..' &&
    !relative.startsWith(`..${path.sep}`) &&
    !path.isAbsolute(relative)
  );
}
