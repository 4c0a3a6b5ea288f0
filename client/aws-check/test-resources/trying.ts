import { toFailure } from '../../../activities/failures';

/** Errors that waiting does not heal. */
const FINAL = new Set(['NotPermitted', 'BadCredentials', 'NotFound', 'InvalidRequest']);

/** What could not be removed. */
export interface Failure {
  id: string;
  why: string;
  /** Whether waiting does not heal it. */
  final: boolean;
}

/** Does it, and tells what it met. */
export async function trying(id: string, remove: () => Promise<void>): Promise<Failure[]> {
  try {
    await remove();
    return [];
  } catch (error) {
    const { type, message } = toFailure(error, `remove ${id}`);
    return [{ id, why: message, final: FINAL.has(type ?? '') }];
  }
}
