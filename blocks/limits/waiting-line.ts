interface Waiting<Turn> {
  /** Had its turn, and was refused. */
  again: boolean;
  go: (turn: Turn) => void;
}

/** Those who wait for their turn at a service: first who was refused there, then the others, each in the order of coming. */
export class WaitingLine<Turn> {
  private readonly waiting: Waiting<Turn>[] = [];

  get isEmpty(): boolean {
    return this.waiting.length === 0;
  }

  /** Stands in line. @returns what {@link next} gives. @throws the signal's reason, when it has left the line */
  wait(again: boolean, signal: AbortSignal | undefined): Promise<Turn> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) return reject(signal.reason as Error);
      const leave = (): void => {
        this.waiting.splice(this.waiting.indexOf(one), 1);
        reject(signal?.reason as Error);
      };
      const one: Waiting<Turn> = {
        again,
        go(turn) {
          // A turn that was given is not lost to a signal that comes after it.
          signal?.removeEventListener('abort', leave);
          resolve(turn);
        },
      };
      signal?.addEventListener('abort', leave, { once: true });
      const behind = again ? this.waiting.findIndex((other) => !other.again) : -1;
      this.waiting.splice(behind < 0 ? this.waiting.length : behind, 0, one);
    });
  }

  /** It is the first one's turn. */
  next(turn: Turn): void {
    this.waiting.shift()?.go(turn);
  }
}
