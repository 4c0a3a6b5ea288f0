import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { projectRoot } from '../../host/project-root';
import { removeSystemDisks, systemDisk } from '../chaos/guests';
import { eventually } from '../support/eventually';
import { canRunSystemd, RealSystemd } from '../support/real-systemd';

/** Units of deploy/systemd under a real systemd: that the bounds that they set leave the worker what it needs, and nothing else. */

const folder = join(projectRoot(), 'deploy/systemd');
const unit = (role: string): string => `lifeboat-${role}.service`;
const logged = (role: string, more = ''): string =>
  `[Service]\nStandardOutput=append:/logs/${unit(role)}\nStandardError=inherit\n${more}`;
/** Nobody listens there: the workers say so, and go on asking. */
const SETTINGS = `AWS_REGION=eu-central-1
LIFEBOAT_REPOSITORY=s3://bucket/lifeboat
TEMPORAL_ADDRESS=127.0.0.1:1
LIFEBOAT_PROXY_INSTANCE_ID=i-0123456789abcdef0
LIFEBOAT_PROXY_AVAILABILITY_ZONE=eu-central-1a
`;

/**
 * In the place of the worker, what it does for a launch copy: a scratch disk over a guest's, which is a FUSE mount, and the guest adapted on
 * it. A Windows guest, as it is opened by the appliance, which runs as nobody, and its registry is written by another program of nobody's.
 */
const LAUNCH_COPY = `
const { statSync, openSync } = require('node:fs');
const { openScratchDisk } = require('/opt/lifeboat/dist/machines/scratch-disk.js');
const { guestAdapter } = require('/opt/lifeboat/dist/guest/adapter.js');
const [file, ...others] = process.argv.slice(2);
(async () => {
  const scratch = await openScratchDisk({ file }, statSync(file).size, 2 ** 30, '/var/lib/lifeboat/launch-copies');
  const { changed } = await guestAdapter().adaptForRecoverySite({ diskPath: scratch.path, dataDisks: [], bootScripts: [], hosts: [], runId: 'run-1' });
  const written = await scratch.holdsAll();
  await scratch.close();
  const opened = others.map((path) => { try { openSync(path, 'a'); return path; } catch (error) { return error.code; } });
  console.log(JSON.stringify({ changed: changed.length, written, opened }));
})();
`;

/** A guest of Windows takes half a minute to make and to adapt. */
const LONG = process.env.LIFEBOAT_LONG_TESTS === '1';

(canRunSystemd ? describe : describe.skip)(
  'units under systemd (needs root, and cgroups of its kind)',
  () => {
    let systemd: RealSystemd | undefined;
    let guests: string;

    const running = (): RealSystemd => {
      if (systemd === undefined) throw new Error('systemd has not started.');
      return systemd;
    };

    beforeAll(async () => {
      // Below the project's folder, which units see; not below /tmp, which they do not.
      guests = await mkdtemp(join(projectRoot(), 'dist', 'units-'));
      await copyFile(await systemDisk('windows'), join(guests, 'disk.raw'));
      await writeFile(join(guests, 'launch-copy.js'), LAUNCH_COPY);
      const read = (role: string): Promise<string> => readFile(join(folder, unit(role)), 'utf8');
      const inside = guests.replace(projectRoot(), '/opt/lifeboat');
      const command = `/opt/node/node ${inside}/launch-copy.js ${inside}/disk.raw /usr/x /etc/x /root/x /dev/vda`;
      systemd = await RealSystemd.start({
        [`systemd/system/${unit('control')}`]: await read('control'),
        [`systemd/system/${unit('control')}.d/log.conf`]: logged('control'),
        [`systemd/system/${unit('backup-proxy')}`]: await read('backup-proxy'),
        [`systemd/system/${unit('backup-proxy')}.d/log.conf`]: logged('backup-proxy'),
        [`systemd/system/${unit('aws-proxy')}`]: await read('aws-proxy'),
        [`systemd/system/${unit('aws-proxy')}.d/log.conf`]: logged('aws-proxy'),
        'systemd/system/launch-copy.service': await read('aws-proxy'),
        'systemd/system/launch-copy.service.d/log.conf': `[Service]\nStandardOutput=append:/logs/launch-copy\nStandardError=inherit\nExecStart=\nExecStart=${command}\nRestart=no\n`,
        'lifeboat/control.env': SETTINGS,
        'lifeboat/aws-proxy.env': SETTINGS,
        'lifeboat/backup-proxy.env': `${SETTINGS}LIFEBOAT_HYPERVISOR=local:/var/lib/lifeboat/vms\n`,
        'credstore/temporal.toml': '# a secret\n',
      });
    }, 120_000);
    afterAll(async () => {
      await systemd?.end();
      await rm(guests, { recursive: true });
      removeSystemDisks();
    }, 120_000);

    it.each([
      ['control', false],
      ['backup-proxy', true],
      ['aws-proxy', true],
    ])(
      '%s runs within its bounds, sees its credentials, and ends when it is told to',
      async (role, root) => {
        expect(await running().inside('systemctl', 'start', unit(role))).toMatchObject({ code: 0 });
        await eventually(60, async () =>
          /^Lifeboat \S+: /.test(await running().log(unit(role))) ? true : undefined,
        );
        const { Uid = '', CapEff, NoNewPrivs, Seccomp } = await running().status(unit(role));
        expect({ root: Uid.startsWith('0\t'), NoNewPrivs, Seccomp }).toEqual({
          root,
          NoNewPrivs: '1',
          Seccomp: '2',
        });
        if (!root) expect(Number(`0x${CapEff}`)).toBe(0);
        const secret = `/run/credentials/${unit(role)}/temporal.toml`;
        expect(await running().as(unit(role), 'cat', secret)).toEqual({ code: 0, text: '# a secret\n' });
        expect(await running().inside('systemctl', 'stop', unit(role))).toMatchObject({ code: 0 });
        expect(await running().property(unit(role), 'Result')).toBe('success');
      },
      120_000,
    );

    (LONG ? it : it.skip)(
      'an AWS proxy can make a launch copy, and write nowhere but to its state',
      async () => {
        expect(await running().inside('systemctl', 'start', 'launch-copy')).toMatchObject({ code: 0 });
        await eventually(120, async () => {
          const state = await running().property('launch-copy', 'ActiveState');
          return state === 'inactive' || state === 'failed' ? state : undefined;
        });
        const log = await running().log('launch-copy');
        expect({ log, result: await running().property('launch-copy', 'Result') }).toMatchObject({
          result: 'success',
        });
        const { changed, written, opened } = JSON.parse(log) as {
          changed: number;
          written: boolean;
          opened: string[];
        };
        expect({ changed: changed > 0, written }).toEqual({ changed: true, written: true });
        expect(opened).toEqual(['EROFS', 'EROFS', 'EROFS', expect.stringMatching(/^(EPERM|EROFS)$/)]);
      },
      180_000,
    );
  },
);
