import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { guestAdapter } from '../../guest/adapter';
import { deviceAt } from '../../guest/files/debugfs';
import { DebugfsProcesses, DebugfsSession } from '../../guest/files/debugfs-session';
import { directory, makeGuest, newPath, removeFixtures } from './guest-fixture';

const OFFSET = 2048 * 512;

afterAll(removeFixtures);

/** The debugfs processes of this test's process that still run. */
function children(): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        const [, name = '', state, parent] =
          /\((.*)\) (\S) (\d+)/.exec(readFileSync(`/proc/${pid}/stat`, 'latin1')) ?? [];
        return name === 'debugfs' && state !== 'Z' && Number(parent) === process.pid;
      } catch {
        return false;
      }
    });
}

const namesIn = async (session: DebugfsSession): Promise<string> => (await session.run(['ls -p /'])).stdout;

it('opens file systems one after the other in one process, each from its root, and what is closed is on the disk', async () => {
  const [one, other] = [deviceAt(makeGuest(), OFFSET), deviceAt(makeGuest(), OFFSET)];
  await DebugfsProcesses.during(async (processes) => {
    const first = await DebugfsSession.open(one, true, processes);
    const [pid] = children();
    await first.run(['mkdir /new', 'cd /new', 'mkdir below']);
    await first.close();
    expect(execFileSync('debugfs', ['-R', 'ls -p /new', one], { encoding: 'latin1' })).toContain('/below/');

    const second = await DebugfsSession.open(other, false, processes);
    expect((await second.run(['ls -p'])).stdout).toContain('/boot/');
    expect(await namesIn(second)).not.toContain('/new/');
    expect((await second.run(['mkdir /x'])).stderr).toMatch(/read.only/);
    expect(children()).toEqual([pid]);
    // Two at once are two.
    const third = await DebugfsSession.open(one, false, processes);
    expect(children()).toHaveLength(2);
    expect(await namesIn(third)).toContain('/new/');
    await second.close();
    await third.close();
    expect(children()).toHaveLength(2);
  });
  expect(children()).toEqual([]);
});

it('goes on with another process where one has ended, and says which file system it had open', async () => {
  const device = deviceAt(makeGuest(), OFFSET);
  await DebugfsProcesses.during(async (processes) => {
    const session = await DebugfsSession.open(device, false, processes);
    process.kill(children()[0] ?? 0, 'SIGKILL');
    await expect(namesIn(session)).rejects.toThrow(`debugfs on ${device} ended early`);
    await session.close();
    const next = await DebugfsSession.open(device, false, processes);
    expect(await namesIn(next)).toContain('/boot/');
    await next.close();
  });
});

it('does not use a process again that could not open a file system', async () => {
  const none = newPath();
  writeFileSync(none, Buffer.alloc(65536));
  await DebugfsProcesses.during(async (processes) => {
    await expect(DebugfsSession.open(none, true, processes)).rejects.toThrow(
      new RegExp(`^debugfs cannot open ${none}: `),
    );
    expect(children()).toEqual([]);
  });
});

it('opens a disk whatever its path is', async () => {
  const path = join(directory, 'a "b" ä 記.raw');
  execFileSync('cp', ['--sparse=always', makeGuest(), path]);
  const session = await DebugfsSession.open(deviceAt(path, OFFSET), false);
  expect(await namesIn(session)).toContain('/boot/');
  await session.close();
  expect(children()).toEqual([]);
});

it('leaves no process behind an adaptation, nor behind one that fails', async () => {
  const adapter = guestAdapter();
  const adapt = (diskPath: string) =>
    adapter.adaptForRecoverySite({ diskPath, dataDisks: [], bootScripts: [], hosts: [], runId: 'run-1' });
  await adapt(makeGuest());
  await expect(adapt(makeGuest({ 'usr/sbin/init': undefined }))).rejects.toThrow(/systemd/);
  expect(children()).toEqual([]);
});
