import { gunzipSync, zstdDecompressSync } from 'node:zlib';
import { runTool } from '../../host/run-tool';
import { type GuestFiles } from '../files/port';
import { GuestNotAdaptableError } from '../port';

/** A kernel module out of the guest's own kernel package, ready to be loaded. */
export interface KernelModule {
  /** As the kernel names it, with underscores. */
  name: string;
  /** Decompressed: the tools in an initramfs may not be able to. */
  content: Buffer;
}

/** modules.dep of a distribution's kernel with 6,000 modules is below 1 MiB. */
const MAX_LIST_BYTES = 8 * 1024 * 1024;
/** The largest module of a distribution's kernel (a GPU driver) has about 20 MiB; those here have 0.2. */
const MAX_MODULE_BYTES = 32 * 1024 * 1024;
/** nvme with all it needs comes to about ten. */
const MAX_MODULES = 64;
const XZ_SECONDS = 60;

/** What one installed kernel has, by its modules.dep and modules.builtin. */
export class KernelModules {
  private constructor(
    private readonly files: GuestFiles,
    readonly release: string,
    private readonly dependencies: Map<string, string[]>,
    private readonly builtin: Set<string>,
  ) {}

  /** @param release a name in /lib/modules */
  static async read(files: GuestFiles, release: string): Promise<KernelModules> {
    const directory = `/lib/modules/${release}`;
    const text = async (name: string): Promise<string> =>
      (await files.realpath(`${directory}/${name}`)) === undefined
        ? ''
        : (await files.read(`${directory}/${name}`, MAX_LIST_BYTES)).toString('latin1');
    const dependencies = new Map<string, string[]>();
    for (const line of (await text('modules.dep')).split('\n')) {
      const [path, needs] = line.split(':');
      if (path && needs !== undefined)
        dependencies.set(
          path,
          needs.split(' ').filter((one) => one !== ''),
        );
    }
    const builtin = (await text('modules.builtin')).split('\n').filter((line) => line !== '');
    return new KernelModules(files, release, dependencies, new Set(builtin.map(moduleName)));
  }

  has(name: string): 'module' | 'builtin' | undefined {
    if (this.builtin.has(name)) return 'builtin';
    return this.pathOf(name) === undefined ? undefined : 'module';
  }

  /** The modules named and all they need, in an order in which they can be loaded; built-in and missing ones left out. */
  async load(names: string[]): Promise<KernelModule[]> {
    const paths: string[] = [];
    for (const name of names) {
      const path = this.builtin.has(name) ? undefined : this.pathOf(name);
      if (path !== undefined) this.collect(path, paths, []);
    }
    const modules: KernelModule[] = [];
    for (const path of paths) modules.push({ name: moduleName(path), content: await this.content(path) });
    return modules;
  }

  private pathOf(name: string): string | undefined {
    return this.byName.get(name);
  }

  private get byName(): Map<string, string> {
    this.names ??= new Map([...this.dependencies.keys()].map((path) => [moduleName(path), path]));
    return this.names;
  }
  private names: Map<string, string> | undefined;

  private collect(path: string, collected: string[], above: string[]): void {
    if (collected.includes(path)) return;
    if (above.includes(path)) throw this.broken(`${moduleName(path)} needs itself`);
    if (
      !/^[A-Za-z0-9_.+-]+(\/[A-Za-z0-9_.+-]+)*\.ko(\.(xz|zst|gz))?$/.test(path) ||
      path.split('/').includes('..')
    ) {
      throw this.broken('it names a file that cannot be a module');
    }
    if (collected.length + above.length >= MAX_MODULES)
      throw this.broken(`more than ${MAX_MODULES} modules need each other`);
    for (const need of this.dependencies.get(path) ?? []) this.collect(need, collected, [...above, path]);
    collected.push(path);
  }

  private broken(problem: string): GuestNotAdaptableError {
    return new GuestNotAdaptableError(
      `/lib/modules/${this.release}/modules.dep is broken: ${problem}. Run "depmod ${this.release}" in the guest and back it up again.`,
    );
  }

  private async content(path: string): Promise<Buffer> {
    const file = `/lib/modules/${this.release}/${path}`;
    const stored = await this.files.read(file, MAX_MODULE_BYTES);
    try {
      if (path.endsWith('.gz')) return gunzipSync(stored, { maxOutputLength: MAX_MODULE_BYTES });
      if (path.endsWith('.zst')) return zstdDecompressSync(stored, { maxOutputLength: MAX_MODULE_BYTES });
    } catch (error) {
      throw new GuestNotAdaptableError(
        `${file} in the guest cannot be decompressed: ${(error as Error).message}`,
      );
    }
    if (!path.endsWith('.xz')) return stored;
    const { exitCode, stdout, stderr } = await runTool('xz', ['-dc', '--memlimit=256MiB'], {
      timeoutSeconds: XZ_SECONDS,
      input: stored,
      maxOutputBytes: MAX_MODULE_BYTES,
    });
    if (exitCode !== 0)
      throw new GuestNotAdaptableError(`${file} in the guest cannot be decompressed: ${stderr.trim()}`);
    return stdout;
  }
}

/** The kernel's name for a module file: without directory and suffix, dashes as underscores. */
function moduleName(path: string): string {
  return path
    .slice(path.lastIndexOf('/') + 1)
    .replace(/\.ko(\.\w+)?$/, '')
    .replaceAll('-', '_');
}
