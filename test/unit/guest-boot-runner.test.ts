import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readBootScriptStatuses } from '../../activities/boot-script-statuses';
import { bootEnvironment, RUNNER_SCRIPT, STATE_DIRECTORY } from '../../guest/linux/stay/boot-scripts';

/** The runner as a shell runs it, on a directory; what is said to its console is read as a failover reads it. */

const RUN = 'shop-7';
let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'lifeboat-runner-'));
  mkdirSync(join(directory, 'boot.d/launch/scripts'), { recursive: true });
  // As a launch copy has it: the directory's name is the placeholder, the environment has been filled in.
  writeFileSync(join(directory, 'boot.d/launch/environment'), bootEnvironment(RUN, []));
  writeFileSync(join(directory, 'console'), '');
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const script = (name: string, body: string): void =>
  writeFileSync(join(directory, 'boot.d/launch/scripts', name), `#!/bin/sh\n${body}\n`, { mode: 0o700 });

function boot(): { said: string; console: string } {
  const runner = RUNNER_SCRIPT.replaceAll(STATE_DIRECTORY, directory)
    .replace('> /dev/console', `>> ${join(directory, 'console')}`)
    // It waits for a card's address, of which a container may have none.
    .replace('-lt 120', '-lt 0');
  const { stdout, stderr, status } = spawnSync('/bin/sh', ['-c', runner, 'sh', 'launch'], {
    encoding: 'utf8',
  });
  expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
  return { said: stdout, console: readFileSync(join(directory, 'console'), 'utf8') };
}

const statuses = (console: string) =>
  [...readBootScriptStatuses(console, RUN, ['web.sh', 'after.sh'])].map(([name, { status }]) => [
    name,
    status,
  ]);

it('tells each status to the journal and to the console, and a later boot tells them again', () => {
  script('00-web.sh', `echo ran >> ${join(directory, 'ran')}\nprintf 'no line end'\nexit 3`);
  script('01-after.sh', 'exit 0');
  const first = boot();
  const told = [
    ['web.sh', 3],
    ['after.sh', 0],
  ];
  expect(statuses(first.console)).toEqual(told);
  // Of what went to the journal, only what the script did not cut in.
  expect(statuses(first.said)).toEqual([
    ['web.sh', undefined],
    ['after.sh', 0],
  ]);

  writeFileSync(join(directory, 'console'), '');
  const second = boot();
  expect(statuses(second.console)).toEqual(told);
  expect(statuses(second.said)).toEqual(told);
  expect(readFileSync(join(directory, 'ran'), 'utf8')).toBe('ran\n');
});

it('runs a script again whose status the machine was switched off in', () => {
  script('00-web.sh', 'exit 4');
  mkdirSync(join(directory, 'boot.d/launch/status'));
  writeFileSync(join(directory, 'boot.d/launch/status/00-web.sh'), '');
  expect(statuses(boot().console)).toEqual([
    ['web.sh', 4],
    ['after.sh', undefined],
  ]);
});
