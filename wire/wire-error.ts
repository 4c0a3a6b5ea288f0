/** A setting, file or key of the way to Temporal that cannot be used: one sentence that names it and says what to do. */
export class WireError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'WireError';
  }
}
