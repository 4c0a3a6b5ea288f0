import { InvalidArgumentError } from 'commander';

/** An option of `npm run chaos` and `npm run cluster` that is a number from 0. @throws InvalidArgumentError */
export function wholeNumber(text: string): number {
  const number = Number(text);
  if (!Number.isSafeInteger(number) || number < 0)
    throw new InvalidArgumentError('It must be a whole number.');
  return number;
}
