/**
 * The appliance died, hung, or answered what cannot be an answer. Its kernel has read a guest's disk, so all three may be
 * the disk's doing; trying again with a new one is safe, as the disk is, too.
 */
export class ApplianceError extends Error {
  constructor(problem: string, console = '') {
    const last = printable(console).trim().split('\n').slice(-6).join(' | ').slice(-800);
    super(
      `The appliance that opens the guest's disks ${problem}.${last === '' ? '' : ` Its console ends: ${last}`}`,
    );
    this.name = 'ApplianceError';
  }
}

/** Text that may come from a guest, for a message. */
export function printable(text: string): string {
  return text.replace(/[^\x20-\x7e\n]/g, '?');
}

/** A program of the appliance printed more than it may. */
export class ToldTooMuchError extends ApplianceError {
  constructor(program: string, limit: number) {
    super(`prints more than ${limit} bytes ("${program}")`);
    this.name = 'ToldTooMuchError';
  }
}
