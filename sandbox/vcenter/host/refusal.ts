/** What the host refuses; vCenter answers with the fault of that name. */
export class Refusal extends Error {
  constructor(
    readonly fault: 'FileLocked' | 'FileFault' | 'FileNotFound',
    file: string,
  ) {
    super(file);
    this.name = 'Refusal';
  }
}
