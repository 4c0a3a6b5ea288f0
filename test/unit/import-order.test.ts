import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';

// Reads all of the project's sources.
jest.setTimeout(90_000);

const root = resolve(__dirname, '../..');
const ROOMS = [
  ...['activities', 'bench', 'blocks', 'cli', 'client', 'guest', 'host', 'hypervisor', 'machines', 'plan'],
  ...['repository', 'sandbox', 'test', 'wire', 'workers', 'workflows'],
];

/** What the rule says of the tree in a directory; with exit code 0, nothing was wrong. */
function look(directory: string, rooms: string[]): { status: number | null; said: string } {
  const program = join(root, 'node_modules/dependency-cruiser/bin/dependency-cruiser.mjs');
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, ...rooms], {
    cwd: directory,
    encoding: 'utf8',
  });
  return { status, said: stdout + stderr };
}

describe('Imports', () => {
  it('run downwards only, and never in a circle', () => {
    const { status, said } = look(root, ROOMS);
    expect(said).toMatch(/no dependency violations found \(\d{3,} modules/);
    expect(status).toBe(0);
  });

  describe('that do not are seen:', () => {
    let tree: string;
    beforeEach(() => {
      tree = mkdtempSync(join(tmpdir(), 'lifeboat-imports-'));
      for (const file of ['.dependency-cruiser.cjs', 'tsconfig.json'])
        cpSync(join(root, file), join(tree, file));
    });
    afterEach(() => rmSync(tree, { recursive: true, force: true }));

    const files = (contents: Record<string, string>): string[] => {
      for (const [path, text] of Object.entries(contents)) {
        mkdirSync(join(tree, dirname(path)), { recursive: true });
        writeFileSync(join(tree, path), text);
      }
      return [...new Set(Object.keys(contents).map((path) => path.split('/')[0] as string))];
    };

    it.each([
      [
        'upwards-from-host',
        { 'host/a.ts': "export { b } from '../plan/b';", 'plan/b.ts': 'export const b = 1;' },
      ],
      [
        'upwards-from-activities',
        {
          'activities/a.ts': "import { type B } from '../workflows/b';\nexport type A = B;",
          'workflows/b.ts': 'export type B = 1;',
        },
      ],
      [
        'sideways-from-guest',
        { 'guest/a.ts': "export { b } from '../repository/b';", 'repository/b.ts': 'export const b = 1;' },
      ],
      [
        'commands-on-the-sandbox',
        { 'cli/a.ts': "export { b } from '../sandbox/b';", 'sandbox/b.ts': 'export const b = 1;' },
      ],
      [
        'circle',
        {
          'plan/a.ts': "import { type B } from './b';\nexport type A = B;",
          'plan/b.ts': "import { type A } from './a';\nexport type B = A | 1;",
        },
      ],
    ])('%s', (rule, contents) => {
      const { status, said } = look(tree, files(contents));
      expect(said).toContain(`error ${rule}:`);
      expect(status).not.toBe(0);
    });
  });
});
