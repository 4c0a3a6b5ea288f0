import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** A place where a secret could come to lie, with all that is there. */
export type Rooms = Record<string, string>;

/** Letters of base64 that stand for a text wherever in a longer one it begins. */
function base64Anywhere(text: string): string[] {
  return [0, 1, 2].map((before) => {
    const encoded = Buffer.from('x'.repeat(before) + text).toString('base64');
    // What neighbours have a part in is left out.
    const first = before === 0 ? 0 : before + 1;
    const whole = Math.floor(((before + text.length) * 8) / 6);
    return encoded.slice(first, whole);
  });
}

/** A text as it may lie in a room. */
export function shapesOf(text: string): Map<string, string> {
  const hex = Buffer.from(text).toString('hex');
  const base64 = base64Anywhere(text);
  return new Map([
    ['plain', text],
    ['URL-encoded', encodeURIComponent(text)],
    ['as a form', new URLSearchParams({ s: text }).toString().slice(2)],
    ['in JSON', JSON.stringify(text).slice(1, -1)],
    ...base64.map((one, at) => [`base64 at ${at}`, one] as const),
    ...base64.map(
      (one, at) => [`base64url at ${at}`, one.replaceAll('+', '-').replaceAll('/', '_')] as const,
    ),
    ['hex', hex],
    ['HEX', hex.toUpperCase()],
  ]);
}

/** Where the canaries are, one line each: `history: the webhook's secret, as base64`. */
export function findCanaries(rooms: Rooms, canaries: Record<string, string>): string[] {
  return Object.entries(rooms).flatMap(([room, text]) =>
    Object.entries(canaries).flatMap(([name, canary]) =>
      [...shapesOf(canary)]
        .filter(([, shape]) => text.includes(shape))
        .map(([how]) => `${room}: ${name}, ${how}`),
    ),
  );
}

/**
 * Names and contents of all files below a directory.
 * @param only names of files whose contents count
 */
export function filesBelow(directory: string, only = /(?:)/): string {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .map((entry) => {
      const path = join(entry.parentPath, entry.name);
      return entry.isFile() && only.test(entry.name) ? `${path}\n${readFileSync(path, 'latin1')}` : path;
    })
    .join('\n');
}

/** A process's children and theirs, with what `ps` would show of them, and who may read the environment. */
export class ProcessWatch {
  /** Command lines of tools. */
  arguments = '';
  environments = '';
  private readonly seen = new Set<string>();
  private timer: NodeJS.Timeout | undefined;

  /** @param roots processes whose children are watched; they themselves have their settings in the environment */
  start(roots: () => (number | undefined)[]): void {
    this.timer = setInterval(() => this.look(roots()), 20);
  }

  stop(): void {
    clearInterval(this.timer);
  }

  private look(roots: (number | undefined)[]): void {
    const parents = new Map<string, string>();
    for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
      const stat = read(`/proc/${pid}/stat`);
      const parent = /^\d+ \(.*\) \S (\d+)/s.exec(stat)?.[1];
      if (parent !== undefined) parents.set(pid, parent);
    }
    const isBelow = (pid: string | undefined): boolean => {
      const parent = pid === undefined ? undefined : parents.get(pid);
      return parent !== undefined && (roots.includes(Number(parent)) || isBelow(parent));
    };
    for (const pid of parents.keys()) {
      if (!isBelow(pid)) continue;
      const line = read(`/proc/${pid}/cmdline`);
      const environment = read(`/proc/${pid}/environ`);
      // Between fork and exec, a child has its parent's.
      if (this.seen.has(pid + line) || roots.some((root) => line === read(`/proc/${root}/cmdline`))) continue;
      this.seen.add(pid + line);
      this.arguments += `${line}\n`;
      this.environments += `${environment}\n`;
    }
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    // It has ended.
    return '';
  }
}
