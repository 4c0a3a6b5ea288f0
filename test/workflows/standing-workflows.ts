import { condition } from '@temporalio/workflow';

/** A run that ends when it is terminated. */
export async function standing(): Promise<void> {
  await condition(() => false);
}
