import { InvalidArgumentError } from 'commander';
import { awsClients } from '../activities/aws-proxy/account/clients';
import { CLIENT_ATTEMPTS } from '../client/repository';
import { testCost, type TestCost } from '../client/test-cost';
import { messageOf } from '../host/message-of';
import { durationSeconds } from '../plan/duration';
import { isKeep, KEEP_FORM } from '../plan/keep';
import { partOf } from '../plan/part';
import { type DrPlan } from '../plan/schema';
import { CliError, EXIT } from './exit-codes';
import { type CliIo } from './io';
import { secondsText } from './numbers';

/** Seconds of `--keep`. */
export function keepSeconds(text: string): number {
  const seconds = everySeconds(text);
  if (!isKeep(seconds)) throw new InvalidArgumentError(`It must be ${KEEP_FORM}.`);
  return seconds;
}

/** Seconds of a span of time on the command line. */
export function everySeconds(text: string): number {
  if (!/^[1-9]\d{0,8}(s|m|h|d)$/.test(text)) throw new InvalidArgumentError('It must be like 30m, 4h or 1d.');
  return durationSeconds(text);
}

/**
 * Tells beforehand what a test will cost, as far as that is known: nobody is kept from testing because the account could not be asked.
 * @returns the JSON document's field
 * @throws CliError where the plan has no such VM
 */
export async function tellCost(
  io: CliIo,
  plan: DrPlan,
  { keep, vms }: { keep: number | undefined; vms: string[] | undefined },
  json = false,
): Promise<{ estimate: (TestCost & { currency: string }) | null }> {
  const part = vms === undefined ? plan : partNamed(plan, vms);
  const { ec2 } = awsClients({ region: plan.recoverySite.region, maxAttempts: CLIENT_ATTEMPTS });
  try {
    const cost = await testCost(ec2, part, keep);
    if (!json) io.err(costText(cost));
    return { estimate: { currency: 'USD', ...cost } };
  } catch (error) {
    io.err(`What this test will cost is not known: ${messageOf(error)}\n`);
    return { estimate: null };
  } finally {
    ec2.destroy();
  }
}

function partNamed(plan: DrPlan, vms: string[]): DrPlan {
  try {
    return partOf(plan, vms);
  } catch (error) {
    throw new CliError((error as Error).message, EXIT.badInput);
  }
}

export const costText = ({ hours, instances, volumeGib, dollars, unknown }: TestCost): string =>
  `Estimate: ${dollars.toFixed(2)} $ for ${secondsText(hours * 3600)} (${instances} ${instances === 1 ? 'instance' : 'instances'}, ${volumeGib} GiB of volumes), ` +
  'by on-demand list prices of us-east-1; other Regions are up to 50 % dearer.' +
  (unknown.length === 0 ? '' : ` Not known, and not in it: ${unknown.join(', ')}.`) +
  '\n';
