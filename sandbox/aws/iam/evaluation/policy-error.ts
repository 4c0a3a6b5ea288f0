/** A policy with something in it that is not known here: it is refused as a whole, since half a policy allows what nobody meant. */
export class PolicyError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'PolicyError';
  }
}
