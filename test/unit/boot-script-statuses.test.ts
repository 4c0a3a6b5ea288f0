import { readBootScriptStatuses } from '../../activities/boot-script-statuses';

const RUN = '0199abcd-7c1e-7000-8000-1f2e3d4c5b6a';
const read = (console: string, names = ['web.sh']) =>
  Object.fromEntries(readBootScriptStatuses(console, RUN, names));
const line = (status: string, { name = 'web.sh', run = RUN } = {}): string =>
  `lifeboat: boot script ${name} of run ${run} exit status ${status}`;

describe('a status is read', () => {
  it.each([
    ['as the runner says it', `${line('3')}\n`],
    ['through the journal', `[   12.345678] lifeboat-boot[345]: ${line('3')}\r\n`],
    ['through the journal of a kernel that shows no time', `lifeboat-boot[345]: ${line('3')}\r\n`],
    ['behind what is no whole line', `web login: lifeboat-boot[345]: ${line('3')}\r\n\r\n${line('3')}\r\n`],
    ['among colours', `\u001b[0;32m  OK  \u001b[0m Started.\r\n\u001b[0m${line('3')}\u001b[K\r\n`],
    ['with the rest of a console that has been overwritten', `ot script web.sh of ru\n${line('3')}\n`],
    ['the last one, where the script was run again', `${line('1')}\n${line('0')}\n${line('3')}\n`],
  ])('%s', (_, console) => {
    expect(read(console)).toEqual({ 'web.sh': { begun: true, status: 3 } });
  });

  it('of each script, and only of those that were asked for', () => {
    const console = `${line('0')}\n${line('7', { name: 'db.sh' })}\n${line('-1073741510', { name: 'a.ps1' })}\n`;
    expect(read(console, ['web.sh', 'a.ps1', 'late.sh'])).toEqual({
      'web.sh': { begun: true, status: 0 },
      'a.ps1': { begun: true, status: -1073741510 },
      'late.sh': { begun: false },
    });
  });

  it('not yet, where the script has begun', () => {
    expect(read(`lifeboat: boot script web.sh of run ${RUN} begins\n`)).toEqual({
      'web.sh': { begun: true },
    });
  });
});

describe('no status is read from', () => {
  it.each([
    ['an empty console', ''],
    ['a line that has no end yet, of which the rest may be to come', line('1')],
    ['another run', `${line('0', { run: 'shop-7' })}\n`],
    ['a run whose id only begins so', `${line('0', { run: `${RUN}0` })}\n`],
    ['another script', `${line('0', { name: 'Web.sh' })}\n`],
    ['a script of Object', `${line('0', { name: '__proto__' })}\n${line('0', { name: 'constructor' })}\n`],
    [
      'a program that quotes it',
      `app[12]: ${line('0')}\n[   1.000000] ${line('0')} was seen\n"${line('0')}"\n`,
    ],
    [
      'a line that the kernel cut in two',
      `${line('0').slice(0, 40)}[    9.1] usb 1-1\r\n${line('0').slice(40)}\n`,
    ],
    ['a number that goes on', `${line('0')}[   12.345678] usb 1-1: new device\n`],
    ['no number', `${line('')}\n${line('0x0')}\n${line('1e3')}\n${line('0 ')}0\n${line('12345678901')}\n`],
    ['what is told of something else', `lifeboat: boot script web.sh exit status 0\n`],
  ])('%s', (_, console) => {
    expect(read(console)).toEqual({ 'web.sh': { begun: false } });
  });

  it.each([
    ['one endless line', 'lifeboat: boot script '.repeat(3000)],
    ['line ends only', '\r\n'.repeat(32_000)],
    ['escapes that never end', '\u001b['.repeat(32_000)],
    ['digits without an end', `\u001b[${'0'.repeat(64_000)}`],
    ['times without an end', `${'[ 1.000000] '.repeat(5000)}\n`],
    ['lines that are nearly right', `${line('1').slice(0, -1)}\n`.repeat(700)],
  ])('a hostile console of %s', (_, console) => {
    expect(read(console)['web.sh']?.status).toBeUndefined();
  });
});
