/** A value that its record type cannot have. The message is as Route 53 words it. */
export class InvalidRecordValueError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'InvalidRecordValueError';
  }
}
