import { nameOf } from '../files/guest-path';
import { type GuestFiles } from '../files/port';

/** Where systemd finds units, the first that has one wins (systemd.unit(5)); Debian had /lib and /usr/lib apart. */
export const ADMIN_UNITS = '/etc/systemd/system';
const VENDOR_UNITS = ['/usr/local/lib/systemd/system', '/lib/systemd/system', '/usr/lib/systemd/system'];
const PRESETS = [
  '/etc/systemd/system-preset',
  '/usr/lib/systemd/system-preset',
  '/lib/systemd/system-preset',
];
/** Directories by which System V scripts are started, in which systemd-sysv-generator looks. */
const SYSV_STARTS = ['rcS.d', 'rc2.d', 'rc3.d', 'rc5.d', 'rc.d/rc3.d', 'rc.d/rc5.d'];
const MAX_PRESET_BYTES = 256 * 1024;

/**
 * Which services of the guest will be started. Decided as systemd decides it, by links and masks: that a service's
 * files lie somewhere says nothing.
 */
export class Units {
  private constructor(
    private readonly vendor: Set<string>,
    private readonly masks: Set<string>,
    private readonly own: Set<string>,
    /** What a target wants or requires, sockets and aliases included. */
    private readonly wanted: Set<string>,
    private readonly sysv: Set<string>,
    private readonly isPreset: (unit: string) => boolean,
  ) {}

  static async read(files: GuestFiles): Promise<Units> {
    const vendor = new Set<string>();
    const masks = new Set<string>();
    const own = new Set<string>();
    const wanted = new Set<string>();
    for (const directory of VENDOR_UNITS) {
      for (const name of await files.list(directory)) {
        vendor.add(name);
        if (/\.(wants|requires)$/.test(name))
          for (const unit of await files.list(`${directory}/${name}`)) wanted.add(unit);
      }
    }
    const aliases: [string, string][] = [];
    for (const name of await files.list(ADMIN_UNITS)) {
      const path = `${ADMIN_UNITS}/${name}`;
      const stat = await files.stat(path);
      if (stat?.type === 'directory' && /\.(wants|requires)$/.test(name)) {
        for (const unit of await files.list(path)) wanted.add(unit);
      } else if (stat?.type === 'symlink') {
        const target = await files.readlink(path);
        if (target === '/dev/null') masks.add(name);
        else if (nameOf(target) !== name) aliases.push([name, nameOf(target)]);
        else own.add(name);
      } else if (stat?.type === 'file') {
        if (stat.size === 0) masks.add(name);
        else own.add(name);
      }
    }
    // A service that D-Bus starts when it is asked for is enabled by an alias alone.
    for (const [alias, unit] of aliases) if (wanted.has(alias) || alias.startsWith('dbus-')) wanted.add(unit);
    return new Units(vendor, masks, own, wanted, await readSysv(files), await readPresets(files));
  }

  /** Whether the service will be started at boot; one whose package is gone is not, whatever links are left. */
  enabled(unit: string): boolean {
    if (this.masked(unit)) return false;
    if (!this.exists(unit)) return this.sysv.has(unit.replace(/\.service$/, ''));
    return this.wanted.has(unit) || this.isPreset(unit);
  }

  /** Whether any instance of a template, such as `ifup@`, will be started. */
  enabledInstance(template: string): boolean {
    return [...this.wanted].some((unit) => unit.startsWith(template) && !this.masked(unit));
  }

  masked(unit: string): boolean {
    return this.masks.has(unit);
  }

  /** Whether a unit file of that name is there to be seen. */
  seen(unit: string): boolean {
    return this.vendor.has(unit) || this.own.has(unit);
  }

  /** Whether not one unit of a vendor is to be seen, so that what they start is not known. */
  get isBlind(): boolean {
    return this.vendor.size === 0;
  }

  /** Where not one unit of a vendor is seen, the guest keeps them where they are not seen: links are believed. */
  exists(unit: string): boolean {
    return this.isBlind || this.seen(unit);
  }
}

async function readSysv(files: GuestFiles): Promise<Set<string>> {
  const started = new Set<string>();
  for (const directory of SYSV_STARTS) {
    for (const link of await files.list(`/etc/${directory}`)) {
      const name = /^S\d\d(.+)$/.exec(link)?.[1];
      if (name !== undefined && (await files.realpath(`/etc/init.d/${name}`)) !== undefined)
        started.add(name);
    }
  }
  return started;
}

/** Presets count at the first boot only: a guest without a machine id enables by them what it has. */
async function readPresets(files: GuestFiles): Promise<(unit: string) => boolean> {
  const id = await files.stat('/etc/machine-id');
  const isFirstBoot =
    id === undefined ||
    (id.type === 'file' &&
      id.size > 0 &&
      id.size < 64 &&
      (await files.read('/etc/machine-id', 64)).toString('latin1').startsWith('uninitialized'));
  if (!isFirstBoot) return () => false;
  const byName = new Map<string, string>();
  for (const directory of PRESETS) {
    for (const name of await files.list(directory))
      if (name.endsWith('.preset') && !byName.has(name)) byName.set(name, `${directory}/${name}`);
  }
  const rules: { enable: boolean; pattern: RegExp }[] = [];
  for (const name of [...byName.keys()].sort()) {
    const path = byName.get(name) ?? '';
    if ((await files.realpath(path)) === undefined) continue;
    for (const line of (await files.read(path, MAX_PRESET_BYTES)).toString('latin1').split('\n')) {
      const [, verb, glob] = /^\s*(enable|disable)\s+(\S+)/.exec(line) ?? [];
      if (glob !== undefined) rules.push({ enable: verb === 'enable', pattern: globPattern(glob) });
    }
  }
  // Without any preset at all systemd enables everything; a distribution that has none means no such thing.
  return (unit) => rules.find(({ pattern }) => pattern.test(unit))?.enable ?? false;
}

/** More of them nobody writes, and a hostile pattern would take for ever to match. */
const MAX_STARS = 4;

/** "*" and "?" of glob(7), in names without "/". */
export function globPattern(glob: string): RegExp {
  if (glob.length > 200 || glob.split('*').length > MAX_STARS + 1) return /(?!)/;
  const pattern = glob
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replaceAll('*', '[^/]*')
    .replaceAll('?', '[^/]');
  return new RegExp(`^${pattern}$`);
}
