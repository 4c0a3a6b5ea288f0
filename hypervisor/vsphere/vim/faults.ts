import { type DataObject } from './codec';
import { isA } from './layout';
import { type AnyMethodFault } from './schema';

/** What the server answered instead of what was asked for, or what a task ended with. */
export class VimFault extends Error {
  /** Name of the fault's type, `FileLocked` for one. */
  readonly type: string;

  constructor(
    /** The method that was called. */
    readonly method: string,
    /** The fault's data; `$type` may be one that the schema here does not have. */
    readonly fault: DataObject | AnyMethodFault,
    /** What the server says of it, in the session's language. */
    readonly said = '',
  ) {
    super(`${method}: ${said === '' ? fault.$type : `${said} (${fault.$type})`}`);
    this.name = 'VimFault';
    this.type = fault.$type;
  }

  /** Whether the fault is of a type, or of one derived from it. */
  is(type: string): boolean {
    return isA(this.type, type);
  }
}

/** Whether something thrown is a fault of a type, or of one derived from it. */
export const isFault = (error: unknown, type: string): error is VimFault =>
  error instanceof VimFault && error.is(type);
