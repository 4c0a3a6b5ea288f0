import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { runTool } from '../../host/run-tool';
import { GuestNotAdaptableError } from '../port';

/**
 * The loader that UEFI starts where its NVRAM has no entry for the disk, as an instance's has none: `EFI/BOOT/BOOTX64.EFI`. Put
 * there out of what the guest's own EFI system partition holds, and taken away again; by mtools, unmounted.
 */

const FALLBACK_DIRECTORY = '/EFI/BOOT';
const FALLBACK = `${FALLBACK_DIRECTORY}/BOOTX64.EFI`;
const WINDOWS_LOADER = '/EFI/Microsoft/Boot/bootmgfw.efi';
/** What was done, and what was there before; on the partition itself, as the guest's own record may be on another. */
const RECORD_DIRECTORY = '/EFI/Lifeboat';
const RECORD = `${RECORD_DIRECTORY}/fallback.json`;

const MTOOLS_SECONDS = 60;
/** Loaders have up to some 5 MiB, unified kernels some 100; an EFI system partition has some hundred MiB. */
const MAX_LOADER_BYTES = 64 * 1024 * 1024;
const MAX_RECORD_BYTES = 64 * 1024;
/** Exit code of mtools where there is no such file. */
const MTOOLS_FAILED = 1;

/** What the guest runs: more than one system may have left its loaders. */
export type EfiSystem = { kind: 'windows' } | { kind: 'linux'; id: string };

const FALLBACK_FILE = /^\/EFI\/BOOT\/(BOOTX64|grubx64|grub|mmx64|MokManager)\.EFI$|^\/EFI\/BOOT\/grub\.cfg$/i;
const sha256 = z.string().regex(/^[0-9a-f]{64}$/);
const recordSchema = z
  .object({
    version: z.literal(1),
    files: z
      .array(
        z
          .object({ path: z.string().regex(FALLBACK_FILE), ours: sha256, original: sha256.nullable() })
          .strict(),
      )
      .max(8),
  })
  .strict();

/**
 * Puts the fallback loader onto an EFI system partition. Linux: one that is there stays; else shim with GRUB and MokManager
 * beside it, or GRUB where there is no shim. Windows: bootmgfw.efi, where it is not already the same.
 * Run twice it has the effect of one run. What it replaces is kept.
 * @param offset of the partition on the disk, in bytes
 * @returns paths on the partition that were changed
 * @throws GuestNotAdaptableError where the partition holds no loader that could be put there
 */
export async function addEfiFallback(diskPath: string, offset: number, system: EfiSystem): Promise<string[]> {
  return withEsp(diskPath, offset, async (esp) => {
    let changes = await missing(esp, system);
    if (changes.length === 0) return [];
    const before = await readRecord(esp);
    if (before !== undefined) {
      // The loader that ours was a copy of has been updated since: begin again from what was there before.
      await undo(esp, before);
      changes = await missing(esp, system);
    }
    await esp.makeDirectory(RECORD_DIRECTORY);
    for (const { path, original } of changes)
      if (original !== undefined) await esp.write(keptPath(path), original);
    const files = changes.map(({ path, content, original }) => ({
      path,
      ours: digest(content),
      original: original === undefined ? null : digest(original),
    }));
    await esp.write(RECORD, Buffer.from(JSON.stringify({ version: 1, files })));
    await esp.makeDirectory(FALLBACK_DIRECTORY);
    for (const { path, content } of changes) await esp.write(path, content);
    return changes.map(({ path }) => path);
  });
}

/** Takes {@link addEfiFallback} back; files that the guest's tools have written since stay. @returns what was changed */
export async function removeEfiFallback(diskPath: string, offset: number): Promise<string[]> {
  return withEsp(diskPath, offset, async (esp) => {
    const record = await readRecord(esp);
    return record === undefined ? [] : undo(esp, record);
  });
}

interface LoaderChange {
  path: string;
  content: Buffer;
  original: Buffer | undefined;
}

/** What has to be put there, beside what is there now. */
async function missing(esp: Esp, system: EfiSystem): Promise<LoaderChange[]> {
  const changes: LoaderChange[] = [];
  for (const { path, from } of await wantedFiles(esp, system)) {
    const content = await esp.read(from);
    if (content === undefined) continue;
    const original = await esp.read(path);
    if (original === undefined || !original.equals(content)) changes.push({ path, content, original });
  }
  return changes;
}

async function undo(esp: Esp, record: z.output<typeof recordSchema>): Promise<string[]> {
  const changed: string[] = [];
  for (const { path, ours, original } of record.files) {
    const current = await esp.read(path);
    if (current === undefined || digest(current) !== ours) continue;
    if (original === null) {
      await esp.remove(path);
      changed.push(path);
      continue;
    }
    const kept = await esp.read(keptPath(path));
    if (kept === undefined || digest(kept) !== original) continue;
    await esp.write(path, kept);
    changed.push(path);
  }
  await esp.remove(RECORD);
  for (const { path, original } of record.files) if (original !== null) await esp.remove(keptPath(path));
  await esp.removeDirectoryIfEmpty(RECORD_DIRECTORY);
  await esp.removeDirectoryIfEmpty(FALLBACK_DIRECTORY);
  return changed;
}

async function wantedFiles(esp: Esp, system: EfiSystem): Promise<{ path: string; from: string }[]> {
  if (system.kind === 'windows') {
    if ((await esp.read(WINDOWS_LOADER)) === undefined) throw noLoader('EFI\\Microsoft\\Boot\\bootmgfw.efi');
    return [{ path: FALLBACK, from: WINDOWS_LOADER }];
  }
  if ((await esp.read(FALLBACK)) !== undefined) return [];
  const directory = await loaderDirectory(esp, system.id);
  const find = async (...names: string[]) => {
    for (const name of names) if ((await esp.read(`${directory}/${name}`)) !== undefined) return name;
    return undefined;
  };
  const shim = await find('shimx64.efi', 'shim.efi');
  const grub = await find('grubx64.efi', 'grub.efi');
  if (grub === undefined) throw noLoader(`${directory.slice(1).replaceAll('/', '\\')}\\grubx64.efi`);
  if (shim === undefined) return [{ path: FALLBACK, from: `${directory}/${grub}` }];
  // Shim looks beside itself, by the names that it was built with. GRUB's grub.cfg is where it was built to look, and
  // for SUSE that is beside it.
  const beside = [grub, await find('mmx64.efi'), await find('MokManager.efi')].filter(
    (name) => name !== undefined,
  );
  if (grub === 'grub.efi' && (await find('grub.cfg')) !== undefined) beside.push('grub.cfg');
  return [
    ...beside.map((name) => ({ path: `${FALLBACK_DIRECTORY}/${name}`, from: `${directory}/${name}` })),
    { path: FALLBACK, from: `${directory}/${shim}` }, // last: a cut-off leaves no shim without its GRUB
  ];
}

/** The one directory with loaders of Linux; that of the guest's own kind where there are several. */
async function loaderDirectory(esp: Esp, id: string): Promise<string> {
  const found: string[] = [];
  for (const name of await esp.directories('/EFI')) {
    if (/^(boot|microsoft|lifeboat)$/i.test(name)) continue;
    const directory = `/EFI/${name}`;
    for (const loader of ['shimx64.efi', 'shim.efi', 'grubx64.efi', 'grub.efi']) {
      if ((await esp.read(`${directory}/${loader}`)) === undefined) continue;
      found.push(directory);
      break;
    }
  }
  const own = found.find((one) => one.slice('/EFI/'.length).toLowerCase() === id.toLowerCase());
  const directory = own ?? (found.length === 1 ? found[0] : undefined);
  if (directory !== undefined) return directory;
  throw new GuestNotAdaptableError(
    `The guest boots by UEFI and its EFI system partition has no EFI\\BOOT\\BOOTX64.EFI, which an instance starts, and ${
      found.length === 0 ? 'no shim or GRUB to put there' : `loaders of several systems (${found.join(', ')})`
    }. Run "grub-install --force-extra-removable" in the guest and back it up again.`,
  );
}

function noLoader(missing: string): GuestNotAdaptableError {
  return new GuestNotAdaptableError(
    `The guest boots by UEFI and its EFI system partition has no ${missing}. Repair its boot loader and back it up again.`,
  );
}

async function readRecord(esp: Esp): Promise<z.output<typeof recordSchema> | undefined> {
  const content = await esp.read(RECORD);
  if (content === undefined) return undefined;
  try {
    if (content.length > MAX_RECORD_BYTES) throw new Error('too large');
    return recordSchema.parse(JSON.parse(content.toString('utf8')));
  } catch (error) {
    throw new GuestNotAdaptableError(
      `${RECORD} on the guest's EFI system partition is damaged (${(error as Error).message.slice(0, 100)}). Remove it by hand.`,
    );
  }
}

function keptPath(path: string): string {
  return `${RECORD_DIRECTORY}/${path.slice(path.lastIndexOf('/') + 1)}`;
}

function digest(content: Buffer): string {
  return createHash('sha256').update(content).digest('hex');
}

async function withEsp<T>(diskPath: string, offset: number, work: (esp: Esp) => Promise<T>): Promise<T> {
  const directory = await mkdtemp(join(tmpdir(), 'lifeboat-esp-'));
  try {
    return await work(new Esp(`${diskPath}@@${offset}`, directory));
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** Files of a FAT file system that nobody has mounted. */
class Esp {
  constructor(
    private readonly image: string,
    private readonly directory: string,
  ) {}

  /** @returns undefined where there is no such file */
  async read(path: string): Promise<Buffer | undefined> {
    const hostPath = join(this.directory, 'file');
    await rm(hostPath, { force: true });
    const { exitCode } = await this.mtools('mcopy', ['-n', `::${path}`, hostPath]);
    if (exitCode !== 0) return undefined;
    const { size } = await stat(hostPath);
    if (size > MAX_LOADER_BYTES)
      throw new GuestNotAdaptableError(`${path} on the EFI system partition is too large.`);
    return readFile(hostPath);
  }

  async write(path: string, content: Buffer): Promise<void> {
    const hostPath = join(this.directory, 'file');
    await rm(hostPath, { force: true });
    await writeFile(hostPath, content);
    await this.expect('mcopy', ['-o', hostPath, `::${path}`], `write ${path}`);
  }

  async remove(path: string): Promise<void> {
    if ((await this.read(path)) !== undefined) await this.expect('mdel', [`::${path}`], `remove ${path}`);
  }

  async makeDirectory(path: string): Promise<void> {
    const { exitCode } = await this.mtools('mdir', ['-b', `::${path}`]);
    if (exitCode !== 0) await this.expect('mmd', [`::${path}`], `make ${path}`);
  }

  async removeDirectoryIfEmpty(path: string): Promise<void> {
    const { exitCode, stdout } = await this.mtools('mdir', ['-b', `::${path}`]);
    if (exitCode === 0 && stdout.toString('latin1').trim() === '') {
      await this.expect('mrd', [`::${path}`], `remove ${path}`);
    }
  }

  async directories(path: string): Promise<string[]> {
    const { stdout } = await this.mtools('mdir', ['-b', `::${path}`]);
    return stdout
      .toString('latin1')
      .split('\n')
      .map((line) => /^::\/[^/]+\/([A-Za-z0-9 ._-]{1,60})\/$/.exec(line.trim())?.[1])
      .filter((name) => name !== undefined);
  }

  private async expect(tool: string, args: string[], what: string): Promise<void> {
    const { exitCode, stderr } = await this.mtools(tool, args);
    if (exitCode === 0) return;
    throw new GuestNotAdaptableError(
      `The guest's EFI system partition does not let Lifeboat ${what}: ${stderr.trim().slice(0, 200) || 'no message'}. Make room on it, or repair it.`,
    );
  }

  private async mtools(tool: string, args: string[]): ReturnType<typeof runTool> {
    const result = await runTool(tool, ['-i', this.image, ...args], {
      timeoutSeconds: MTOOLS_SECONDS,
      // The guest's FAT may have been made on a controller with another geometry.
      environment: { MTOOLS_SKIP_CHECK: '1' },
    });
    if (result.exitCode > MTOOLS_FAILED) {
      throw new Error(`${tool} failed (${result.exitCode}): ${result.stderr.trim().slice(0, 200)}`);
    }
    return result;
  }
}
