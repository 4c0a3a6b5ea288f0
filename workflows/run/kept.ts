/** A result that is made once and told again to whoever asks; made anew where that failed, or it was lost. */
export class Kept<T> {
  private made: Promise<T> | undefined;

  constructor(private readonly make: () => Promise<T>) {}

  /** Makes it, or tells what was made, or is being made. */
  get(): Promise<T> {
    this.made ??= this.make().catch((error: unknown) => {
      this.made = undefined;
      throw error;
    });
    return this.made;
  }

  /** What was made is gone; the next is another. */
  forget(): void {
    this.made = undefined;
  }
}
