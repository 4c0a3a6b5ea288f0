/** Room that is kept when nothing is held; a burst of megabytes is not. */
const KEPT_BYTES = 64 * 1024;

/**
 * Bytes as they come in from a stream, taken off in pieces of other lengths. In whatever pieces they come, each is copied a few
 * times at most, and no more than twice their room is held.
 */
export class ReceivedBytes {
  private buffer = Buffer.alloc(KEPT_BYTES);
  private start = 0;
  private end = 0;

  get length(): number {
    return this.end - this.start;
  }

  push(data: Buffer): void {
    if (this.end + data.length > this.buffer.length) this.makeRoom(data.length);
    data.copy(this.buffer, this.end);
    this.end += data.length;
  }

  /** Place of a byte among the first `within`; -1 where it is not there. */
  indexOf(byte: number, within: number): number {
    return this.buffer.subarray(this.start, Math.min(this.end, this.start + within)).indexOf(byte);
  }

  /** The first four bytes, of at least as many. */
  peekUInt32(): number {
    return this.buffer.readUInt32BE(this.start);
  }

  /** Takes the first bytes, of at least as many. */
  take(length: number): Buffer {
    const taken = Buffer.from(this.buffer.subarray(this.start, this.start + length));
    this.start += length;
    if (this.length === 0) {
      this.start = this.end = 0;
      if (this.buffer.length > KEPT_BYTES) this.buffer = Buffer.alloc(KEPT_BYTES);
    }
    return taken;
  }

  /** Moves what is held to the start, and doubles the room only where that frees less than half: both seldom for a byte. */
  private makeRoom(more: number): void {
    const needed = this.length + more;
    const room = needed * 2 > this.buffer.length ? Buffer.alloc(needed * 2) : this.buffer;
    this.buffer.copy(room, 0, this.start, this.end);
    this.end = this.length;
    this.start = 0;
    this.buffer = room;
  }
}
