import { createHash } from 'node:crypto';

/** What makes one AWS call of a run unlike any other. */
export interface TokenParts {
  /** Temporal's first execution run id of the top-level workflow. */
  runId: string;
  vm: string;
  /** Disk key, where the call is about one disk. */
  disk?: string;
  /** Falling back to another type or AZ is a new attempt, and so a new token. */
  attempt?: number;
  /** Name of the API operation. */
  call: string;
}

/**
 * The client token of a call: the same for every retry, so that AWS makes one thing and not two.
 * 64 characters, the most that EC2 and EBS allow.
 */
export function clientToken({ runId, vm, disk, attempt, call }: TokenParts): string {
  // JSON keeps the parts apart: no two different lists of parts give the same text.
  return createHash('sha256')
    .update(JSON.stringify([runId, vm, disk ?? null, attempt ?? null, call]))
    .digest('hex');
}
