import { type GuestFiles } from '../files/port';
import { GuestNotAdaptableError } from '../port';

const MAX_OS_RELEASE_BYTES = 64 * 1024;

/** What a guest runs, by os-release(5). */
export interface OsRelease {
  id: string;
  like: string[];
  /** For people. */
  prettyName: string;
}

/** @throws GuestNotAdaptableError where the guest does not say */
export async function readOsRelease(files: GuestFiles): Promise<OsRelease> {
  for (const path of ['/etc/os-release', '/usr/lib/os-release']) {
    if ((await files.realpath(path)) === undefined) continue;
    return parseOsRelease((await files.read(path, MAX_OS_RELEASE_BYTES)).toString('latin1'));
  }
  throw new GuestNotAdaptableError('The guest has no /etc/os-release, so what it runs is unknown.');
}

/** Exported for tests. */
export function parseOsRelease(text: string): OsRelease {
  const values = new Map<string, string>();
  for (const line of text.split('\n')) {
    const match = /^([A-Z_]+)=(["']?)([\x20-\x7e]{0,200})\2\s*$/.exec(line);
    if (match?.[1] !== undefined) values.set(match[1], match[3] ?? '');
  }
  const id = values.get('ID') ?? 'unknown';
  return {
    id,
    like: (values.get('ID_LIKE') ?? '').split(/\s+/).filter(Boolean),
    prettyName: values.get('PRETTY_NAME') ?? id,
  };
}
