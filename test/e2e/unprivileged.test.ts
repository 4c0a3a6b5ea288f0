import { execFile, spawnSync } from 'node:child_process';
import { chmod, chown, copyFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { projectRoot } from '../../host/project-root';
import { type AdaptationReport } from '../../guest/port';
import { removeSystemDisks, systemDisk } from '../chaos/guests';

/** User and group "nobody" of every distribution. */
const NOBODY = { uid: 65534, gid: 65534 };
const ADAPTER = join(projectRoot(), 'dist/guest/adapter.js');
const SCRIPT = `
  const { guestAdapter } = require(process.argv[1]);
  const diskPath = process.argv[2];
  const adapter = guestAdapter();
  (async () => {
    const adapted = await adapter.adaptForRecoverySite({ diskPath, dataDisks: [], bootScripts: [], hosts: [], runId: 'run-1' });
    const home = await adapter.revertForPrimarySite(diskPath, { slot: 0, dataDisks: [] });
    console.log(JSON.stringify({ adapted, home, uid: process.getuid() }));
  })();
`;

/** Where root's own folder is what this is run from, nobody else can read it. */
const nobodyCanRun =
  process.getuid?.() === 0 &&
  spawnSync(process.execPath, ['-e', 'require(process.argv[1])', ADAPTER], NOBODY).status === 0;

(nobodyCanRun ? describe : describe.skip)('a proxy without any rights (needs root, to give them up)', () => {
  afterAll(removeSystemDisks);

  it.each([
    ['debian', 'nvme'],
    ['rocky', 'nvme'],
    ['windows', undefined],
  ] as const)(
    'adapts a %s whose disk is a file of its own, and takes it home',
    async (guest, module) => {
      const directory = await mkdtemp(join(tmpdir(), 'lifeboat-unprivileged-'));
      try {
        const disk = join(directory, 'disk.raw');
        await copyFile(await systemDisk(guest), disk);
        for (const path of [directory, disk]) await chown(path, NOBODY.uid, NOBODY.gid);
        await chmod(directory, 0o700);
        const options = { ...NOBODY, cwd: directory, env: { PATH: process.env.PATH, TMPDIR: directory } };
        const { stdout } = await promisify(execFile)(
          process.execPath,
          ['-e', SCRIPT, ADAPTER, disk],
          options,
        );
        const { adapted, home, uid } = JSON.parse(stdout) as {
          adapted: AdaptationReport;
          home: { changed: string[] };
          uid: number;
        };
        expect(uid).toBe(NOBODY.uid);
        if (module !== undefined) expect(adapted.modules).toContain(module);
        expect(adapted.changed.length).toBeGreaterThan(0);
        expect(home.changed.length).toBeGreaterThan(0);
      } finally {
        await rm(directory, { recursive: true });
      }
    },
    240_000,
  );
});
