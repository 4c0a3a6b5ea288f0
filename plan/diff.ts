import { type DrPlan } from './schema';

/** One thing that is otherwise in another version of a plan. */
export interface PlanChange {
  /** Such as `vms.db.instanceTypes` or `recoverySite.kmsKey`: VMs and DNS records go by their names. */
  path: string;
  /** Absent where there was nothing. */
  before?: unknown;
  /** Absent where there is nothing any more. */
  after?: unknown;
}

/** What is otherwise in `after`, in the order of its paths. Lists are told as a whole; VMs in another order are the same ones. */
export function planDiff(before: DrPlan, after: DrPlan): PlanChange[] {
  return changes('', named(before), named(after));
}

/** A plan with its VMs and records by name: one that came or went changes nothing of the others. */
function named({ vms, dns, ...plan }: DrPlan): Record<string, unknown> {
  return {
    ...plan,
    vms: Object.fromEntries(vms.map(({ name, ...vm }) => [name, vm])),
    ...(dns === undefined
      ? {}
      : {
          dns: {
            ...dns,
            records: Object.fromEntries(
              dns.records.map(({ name, ...record }) => [
                record.setIdentifier === undefined ? name : `${name} (${record.setIdentifier})`,
                record,
              ]),
            ),
          },
        }),
  };
}

function changes(path: string, before: unknown, after: unknown): PlanChange[] {
  if (same(before, after)) return [];
  if (!isGroup(before) || !isGroup(after))
    return [
      {
        path,
        ...(before === undefined ? {} : { before }),
        ...(after === undefined ? {} : { after }),
      },
    ];
  const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])].sort();
  return keys.flatMap((key) => changes(path === '' ? key : `${path}.${key}`, before[key], after[key]));
}

/** Lists are the same where all that is in them is, in this order. */
function same(before: unknown, after: unknown): boolean {
  if (!Array.isArray(before) || !Array.isArray(after)) return before === after;
  return before.length === after.length && before.every((one, n) => changes('', one, after[n]).length === 0);
}

const isGroup = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
