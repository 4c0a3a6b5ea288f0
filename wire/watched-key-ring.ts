import { stat } from 'node:fs/promises';
import { type KeyRing, readKeyRing } from './key-ring';
import { messageOf } from './wire-error';

/** Milliseconds in which the file is looked at once: keys are changed seldom, and payloads come by the thousand. */
const LOOK_MS = 5000;

/**
 * A key ring's file, read again when it has changed, so that keys are exchanged without a restart. A changed file that is broken is told once, and
 * the keys of before go on: a slip of the pen must not stop a failover.
 */
export class WatchedKeyRing {
  private ring: KeyRing;
  private seen: string | undefined;
  private lookedAt = 0;
  private looking: Promise<void> | undefined;

  /** @throws WireError where the file is broken */
  constructor(
    readonly file: string,
    private readonly now: () => number = Date.now,
    private readonly tell: (sentence: string) => void = (sentence) => console.error(sentence),
  ) {
    this.ring = readKeyRing(file);
  }

  /** The ring as it is. @param fresh look at the file now, unless that was done in this moment */
  async current(fresh = false): Promise<KeyRing> {
    if (fresh || this.now() - this.lookedAt >= LOOK_MS)
      await (this.looking ??= this.look().finally(() => (this.looking = undefined)));
    return this.ring;
  }

  private async look(): Promise<void> {
    this.lookedAt = this.now();
    let state: string;
    try {
      const { ino, mtimeMs, ctimeMs, size } = await stat(this.file);
      state = [ino, mtimeMs, ctimeMs, size].join(' ');
    } catch (error) {
      state = messageOf(error);
    }
    if (state === this.seen) return;
    this.seen = state;
    try {
      this.ring = readKeyRing(this.file);
    } catch (error) {
      this.tell(`The keys of before are used on: ${messageOf(error)}`);
    }
  }
}
