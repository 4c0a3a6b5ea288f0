import { statSync } from 'node:fs';
import { messageOf } from '../host/message-of';
import { type KeyRing, readKeyRing } from './key-ring';

/** Milliseconds in which the file is looked at once: keys are changed seldom, and payloads come by the thousand. */
const LOOK_MS = 5000;

/**
 * A key ring's file, read again when it has changed, so that keys are exchanged without a restart. A changed file that is broken is told once, and
 * the keys of before go on: a slip of the pen must not stop a failover.
 */
export class WatchedKeyRing {
  private ring: KeyRing;
  private seen: string;
  private lookedAt: number;

  /** @throws WireError where the file is broken */
  constructor(
    readonly file: string,
    private readonly now: () => number = Date.now,
    private readonly tell: (sentence: string) => void = (sentence) => console.error(sentence),
  ) {
    this.lookedAt = now();
    // Before the file is read: what changes meanwhile is seen later.
    this.seen = stateOf(file);
    this.ring = readKeyRing(file);
  }

  /** The ring as it is. @param fresh look at the file now */
  current(fresh = false): KeyRing {
    if (fresh || this.now() - this.lookedAt >= LOOK_MS) this.look();
    return this.ring;
  }

  private look(): void {
    this.lookedAt = this.now();
    const state = stateOf(this.file);
    if (state === this.seen) return;
    this.seen = state;
    try {
      this.ring = readKeyRing(this.file);
    } catch (error) {
      this.tell(`The keys of before are used on: ${messageOf(error)}`);
    }
  }
}

/** Other text for another state of the file; also of one that is not there. */
function stateOf(file: string): string {
  try {
    const { ino, mtimeMs, ctimeMs, size } = statSync(file);
    return [ino, mtimeMs, ctimeMs, size].join(' ');
  } catch (error) {
    return messageOf(error);
  }
}
