import { CreateTagsCommand, type EC2Client, type Instance } from '@aws-sdk/client-ec2';
import { MAX_KEEP_SECONDS } from '../../../plan/keep';
import { type RunContext } from '../../../plan/run';
import { removeTestResources } from './clean-up';
import { type OverdueTest } from './contract';
import { listInstances } from './lookup';
import { readInstance, readTags, runValues, tagFilters, tagList } from './tags';
import { type WaitOptions } from './waiting';

/** Instances that one call tags; EC2 takes 1,000 resources ("CreateTags", Amazon EC2 API Reference). */
const TAGGED_AT_ONCE = 500;

/** Milliseconds that bringing up a test may have taken since its first instance was launched, at most. */
const BRINGING_UP_MS = 86_400_000;

const GONE: readonly (string | undefined)[] = ['terminated', 'shutting-down'];

/** An instance of a test that is kept. */
export interface KeptInstance {
  instance: Instance;
  vm: string;
  runId: string;
  /** ISO 8601, UTC. */
  until: string;
}

/**
 * Those of the instances that are there, and whose tags say that they are kept. Whoever may tag could say so for ever; it holds no longer than a
 * test may be kept.
 */
export function keptInstances(instances: readonly Instance[]): KeptInstance[] {
  return instances.flatMap((instance): KeptInstance[] => {
    const { Tags, State, LaunchTime } = instance;
    const tags = readInstance(Tags);
    const keepUntil = readTags(Tags, ['keepUntil'])?.keepUntil;
    if (tags?.role !== 'test' || keepUntil === undefined || GONE.includes(State?.Name)) return [];
    const latest = (LaunchTime?.getTime() ?? 0) + MAX_KEEP_SECONDS * 1000 + BRINGING_UP_MS;
    const until = new Date(Math.min(Date.parse(keepUntil), latest)).toISOString();
    return [{ instance, vm: tags.vm, runId: tags.run, until }];
  });
}

/** Runs whose tests are kept, with the time until which the last of their instances is. */
export function keptRuns(instances: readonly Instance[]): Map<string, string> {
  const kept = new Map<string, string>();
  for (const { runId, until } of keptInstances(instances))
    if ((kept.get(runId) ?? '') < until) kept.set(runId, until);
  return kept;
}

/** The plan's instances that are kept, by their tags alone. */
export const findKeptInstances = async (ec2: EC2Client, plan: string): Promise<KeptInstance[]> =>
  keptInstances(await listInstances(ec2, tagFilters({ plan, role: 'test' })));

/** Marks the instances of a test. @param input.until ISO 8601, UTC */
export async function keepTest(
  ec2: EC2Client,
  { run, until }: { run: RunContext; until: string },
): Promise<{ instances: string[] }> {
  const found = await listInstances(ec2, tagFilters({ ...runValues(run), role: 'test' }));
  const instances = found
    .filter(({ State }) => !GONE.includes(State?.Name))
    .flatMap(({ InstanceId }) => InstanceId ?? [])
    .sort();
  for (let at = 0; at < instances.length; at += TAGGED_AT_ONCE)
    await ec2.send(
      new CreateTagsCommand({
        Resources: instances.slice(at, at + TAGGED_AT_ONCE),
        Tags: tagList({ keepUntil: until }),
      }),
    );
  return { instances };
}

/** Removes what other kept tests of the plan have made, where their time is over. */
export async function removeOverdueTests(
  ec2: EC2Client,
  { run }: { run: RunContext },
  options: WaitOptions = {},
): Promise<OverdueTest[]> {
  const kept = keptRuns(await listInstances(ec2, tagFilters({ plan: run.plan, role: 'test' })));
  const now = new Date().toISOString();
  const overdue: OverdueTest[] = [];
  for (const [runId, until] of kept) {
    if (runId === run.runId || until > now) continue;
    const { removed } = await removeTestResources(ec2, { plan: run.plan, runId }, options);
    overdue.push({ runId, until, removed });
  }
  return overdue;
}
