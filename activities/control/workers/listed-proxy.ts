/** A proxy that polls, as the Temporal server knows it. */
export interface ListedProxy {
  role: 'aws-proxy' | 'backup-proxy';
  /** Its identity. */
  worker: string;
  /** Lifeboat's version, as its identity has it; `unknown` where it has none. */
  version: string;
  /** Whether it has a queue of its own to be asked on: those of earlier releases have none. */
  asked: boolean;
}
