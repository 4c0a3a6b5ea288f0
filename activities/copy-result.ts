/** What copying one disk came to. */
export interface CopyResult {
  /** Blocks that were written to the target (or stored in the repository). */
  blocks: number;
  /** Bytes that those blocks hold on the target's side. */
  bytes: number;
  /** Blocks written more than once because a worker died; see the recorded progress. */
  blocksSentAgain: number;
  seconds: number;
}
