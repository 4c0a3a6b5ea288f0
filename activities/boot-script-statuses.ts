import { RUNNER_IDENTIFIER } from '../guest/linux/stay/boot-scripts';
import { consoleLines } from './console';

/** What a console tells of a boot script. */
export interface ToldStatus {
  begun: boolean;
  /** Exit status: 0 to 255 on Linux, any 32 bits on Windows. */
  status?: number;
}

/**
 * What the runners (guest/linux/stay/boot-scripts.ts, guest/windows/prepare/Start-Lifeboat.ps1) have told of these scripts
 * of this run. Only a line that is theirs as a whole counts, with or without what the journal puts before it: other
 * programs quote lines, and a console shows whatever the guest writes. Where a script has several statuses, because
 * a person ran it again, the last one counts.
 *
 * A guest that has been taken over can write the line itself: this tells what the guest says, not what is true.
 * @param runId the run that launched the guest
 * @param names as in the guest
 */
export function readBootScriptStatuses(
  console: string,
  runId: string,
  names: string[],
): Map<string, ToldStatus> {
  const told = new Map<string, ToldStatus>(names.map((name) => [name, { begun: false }]));
  // What has no end yet may be half of a number.
  const whole = console.slice(0, Math.max(console.lastIndexOf('\n'), console.lastIndexOf('\r')) + 1);
  for (const line of consoleLines(whole)) {
    const [, name = '', run, status] = LINE.exec(line) ?? [];
    const script = told.get(name);
    if (script === undefined || run !== runId) continue;
    script.begun = true;
    if (status !== undefined) script.status = Number(status);
  }
  return told;
}

/** The journal puts the kernel's time before a line, where the kernel shows it, and who says it. */
const LINE = new RegExp(
  `^(?:\\[ {0,8}\\d{1,12}\\.\\d{6}\\] )?(?:${RUNNER_IDENTIFIER}\\[\\d{1,10}\\]: )?` +
    'lifeboat: boot script ([A-Za-z0-9._-]{1,100}) of run ([A-Za-z0-9._-]{1,64}) (?:begins|exit status (-?\\d{1,10}))$',
);
