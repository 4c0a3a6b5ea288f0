import { MultiBar, type SingleBar } from 'cli-progress';
import { type CopyProgress } from '../blocks/progress';
import { type RunSnapshot } from '../client/progress';
import { printable } from '../plan/printable';
import { awaitedText, pausedText } from './decision-text';
import { type CliIo } from './io';
import { bytesText, secondsText } from './numbers';

/** Shows a person what a run is doing, on stderr. */
export interface ProgressView {
  update(snapshot: RunSnapshot): void;
  note(text: string): void;
  close(): void;
}

/**
 * Bars for block copies where stderr is a terminal, and a line for every step everywhere.
 * @param plan what commands that answer the run are given: the plan, and `--test` for a test failover
 */
export function progressView(io: CliIo, plan = 'PLAN'): ProgressView {
  return io.stderrIsTty ? barView(io, plan) : lineView((text) => io.err(`${text}\n`), plainCopies(io), plan);
}

const keyOf = ({ what, vm, disk }: CopyProgress): string => printable(`${what} ${vm}/${disk}`);

/** Tells of every phase that is entered and every retry, once each. */
function lineView(
  line: (text: string) => void,
  copies: { update(copies: CopyProgress[]): void; close(): void },
  plan: string,
): ProgressView {
  const told = new Map<string, string>();
  const tell = (key: string, text: string) => {
    if ((told.get(key) ?? '') === text) return;
    told.set(key, text);
    if (text !== '') line(`${new Date().toISOString().slice(11, 19)}  ${printable(text)}`);
  };
  return {
    update({ status, copies: underWay, retries }) {
      if (status !== undefined) {
        tell(
          'run',
          status.problem === undefined ? status.phase : `${status.phase} needs attention: ${status.problem}`,
        );
        for (const { vm, phase, detail } of status.vms)
          if (phase !== 'waiting') tell(`vm ${vm}`, `${vm}: ${phase}${detail === '' ? '' : ` (${detail})`}`);
        for (const awaited of status.awaited ?? [])
          tell(`gate ${awaited.gate} ${awaited.since}`, awaitedText(awaited, plan));
        tell('paused', status.paused === undefined ? '' : pausedText(status.paused, plan));
        tell(
          'hint',
          status.needsAttention ? `Mend it, then in another terminal: lifeboat retry ${plan}` : '',
        );
      }
      for (const { step, attempt, message } of retries)
        tell(`retry ${step}`, `${step} is tried again (attempt ${attempt}): ${message}`);
      // A copy that does not know its size yet has nothing to show; a bar of nothing would be full.
      copies.update(underWay.filter(({ totalBlocks }) => totalBlocks > 0));
    },
    note: (text) => line(printable(text)),
    close: () => copies.close(),
  };
}

/** What a copy came to, its speed, and the time that is left, as far as they are known. */
function amount({ bytes, bytesPerSecond, secondsLeft }: CopyProgress): string {
  const known = [bytesText(bytes)];
  if (bytesPerSecond !== undefined) known.push(`${bytesText(bytesPerSecond)}/s`);
  if (secondsLeft !== undefined) known.push(`${secondsText(secondsLeft)} left`);
  return known.join(', ');
}

/** Percent between two lines about one disk. */
const STEP_PERCENT = 25;

/** A line whenever a disk has come another quarter further. */
function plainCopies(io: Pick<CliIo, 'err'>) {
  const reached = new Map<string, number>();
  return {
    update(copies: CopyProgress[]) {
      for (const copy of copies) {
        const step = Math.floor((copy.doneBlocks / copy.totalBlocks) * (100 / STEP_PERCENT));
        if (reached.get(keyOf(copy)) === step) continue;
        reached.set(keyOf(copy), step);
        io.err(
          `          ${keyOf(copy)}: ${step * STEP_PERCENT} % (${copy.doneBlocks} of ${copy.totalBlocks} blocks, ${amount(copy)})\n`,
        );
      }
    },
    close() {},
  };
}

function barView(io: CliIo, plan: string): ProgressView {
  const bars = new Map<string, SingleBar>();
  const multi = new MultiBar(
    {
      format: '{name} [{bar}] {percentage} % {value}/{total} blocks {size}',
      stream: process.stderr,
      hideCursor: true,
      clearOnComplete: false,
      // Lines above the bars are drawn at the next turn only; twice a second is soon enough for a person.
      fps: 2,
    },
    undefined,
  );
  const copies = {
    update(underWay: CopyProgress[]) {
      const seen = new Set<string>();
      for (const copy of underWay) {
        const key = keyOf(copy);
        seen.add(key);
        const payload = { name: key.padEnd(24), size: amount(copy) };
        const bar = bars.get(key) ?? multi.create(copy.totalBlocks, 0, payload);
        bars.set(key, bar);
        bar.setTotal(copy.totalBlocks);
        bar.update(copy.doneBlocks, payload);
      }
      // A copy that is no longer under way is done; if it is not, it comes back with its next attempt.
      // What was last heard of its speed and the time left is from before its end.
      for (const [key, bar] of bars) if (!seen.has(key)) bar.update(bar.getTotal(), { size: '' });
    },
    close: () => multi.stop(),
  };
  return lineView((text) => (bars.size > 0 ? multi.log(`${text}\n`) : io.err(`${text}\n`)), copies, plan);
}
