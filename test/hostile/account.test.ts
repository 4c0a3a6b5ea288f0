import {
  DescribeInstancesCommand,
  DescribeNetworkInterfacesCommand,
  DescribeSnapshotsCommand,
  DescribeVolumesCommand,
  type EC2Client,
} from '@aws-sdk/client-ec2';
import fc from 'fast-check';
import { findDrCopy } from '../../activities/aws-proxy/account/dr-copy';
import { findLeftovers, removeLeftovers } from '../../activities/aws-proxy/account/leftovers';
import { readRecoveryInstances } from '../../activities/aws-proxy/failback/recovery-instances';
import { removeRecoveryResources } from '../../activities/aws-proxy/launch/clean-up';
import {
  BadTagsError,
  ROLES,
  readCopySnapshot,
  readInstance,
  readRecoveredVolume,
  requireTags,
  tagList,
} from '../../activities/aws-proxy/account/tags';
import { siteStatus } from '../../client/site-status';
import { type FailoverSteps, openFailoverSteps } from '../support/failover-steps';
import { shopPlan } from '../support/failover-site';
import { change, inputs, inputsMs, oddText, thoughtOf, withChange } from './inputs';

const tagKeys = [
  'plan',
  'vm',
  'run',
  'role',
  'disk',
  'size-bytes',
  'slot',
  'boot',
  'disk-count',
  'recovery-point',
  'taken-at',
  'attempt',
  'block-map',
];
const oddTags = fc.array(
  fc.record({
    Key: fc.oneof(oddText, fc.constantFrom(...tagKeys.map((key) => `lifeboat:${key}`))),
    Value: fc.oneof(
      oddText,
      fc.constantFrom('shop', 'db', ...ROLES, '1', 'true', '2026-11-23T10:15:00.000Z'),
    ),
  }),
  { maxLength: 50 },
);

const ID_FIELDS = ['VolumeId', 'SnapshotId', 'InstanceId', 'NetworkInterfaceId'];
const OURS = '{"Key":"lifeboat:plan","Value":"shop"}';

const reviveDates = (_: string, value: unknown): unknown =>
  typeof value === 'string' && /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(value)
    ? new Date(value)
    : value;

describe('tags that anybody wrote', () => {
  it(
    'are read as what they mean, or as nobody of ours',
    () => {
      fc.assert(
        fc.property(oddTags, (tags) => {
          for (const read of [readCopySnapshot, readInstance, readRecoveredVolume]) {
            const values = read(tags);
            // What is read is written the same way: nothing was guessed.
            if (values !== undefined)
              for (const one of tagList(values))
                expect(tags.map(({ Key, Value }) => `${Key}=${Value}`)).toContain(`${one.Key}=${one.Value}`);
          }
          try {
            requireTags('vol-1', tags, ['plan', 'sizeBytes', 'takenAt']);
          } catch (error) {
            expect(error).toBeInstanceOf(BadTagsError);
            expect((error as Error).message.length).toBeLessThan(400);
          }
        }),
        inputs(5),
      );
    },
    inputsMs(5),
  );
});

/** Answers of an account with a failover in it, before somebody changed them. */
interface Answers {
  Volumes: unknown;
  Snapshots: unknown;
  Reservations: unknown;
  NetworkInterfaces: unknown;
}

describe('answers of EC2 with parts missing or others', () => {
  let steps: FailoverSteps;
  let answers: Answers;
  beforeAll(async () => {
    steps = await openFailoverSteps();
    const volumes = await steps.createVolumes('run-1');
    const { imageId } = await steps.shellImage('run-1');
    const { instanceId } = await steps.site.activity(
      steps.activities.launchShell,
      steps.shellRequest('run-1', imageId),
    );
    await steps.site.activity(steps.activities.attachVolumes, {
      run: steps.site.run('run-1'),
      vm: 'db',
      instanceId,
      volumes,
    });
    const { ec2 } = steps;
    answers = {
      Volumes: (await ec2.send(new DescribeVolumesCommand({}))).Volumes,
      Snapshots: (await ec2.send(new DescribeSnapshotsCommand({ OwnerIds: ['self'] }))).Snapshots,
      Reservations: (await ec2.send(new DescribeInstancesCommand({}))).Reservations,
      NetworkInterfaces: (await ec2.send(new DescribeNetworkInterfacesCommand({}))).NetworkInterfaces,
    };
  }, 60_000);
  afterAll(() => steps?.site.stop());

  /** An EC2 that answers with what somebody changed, and notes what it is asked to do. */
  function changedEc2(changed: Answers): { ec2: EC2Client; done: { name: string; input: unknown }[] } {
    const done: { name: string; input: unknown }[] = [];
    const ec2 = Object.create(steps.ec2) as EC2Client;
    const send = (command: { constructor: { name: string }; input: unknown }): Promise<unknown> => {
      const { name } = command.constructor;
      const answer = {
        DescribeVolumesCommand: { Volumes: changed.Volumes },
        DescribeSnapshotsCommand: { Snapshots: changed.Snapshots },
        DescribeInstancesCommand: { Reservations: changed.Reservations },
        DescribeNetworkInterfacesCommand: { NetworkInterfaces: changed.NetworkInterfaces },
      }[name];
      if (answer !== undefined) return Promise.resolve(structuredClone(answer));
      if (/^Describe/.test(name)) return steps.ec2.send(command as never);
      done.push({ name, input: command.input });
      // As if it were done: what is listed then is nothing.
      if (/^(Terminate|Delete|Detach)/.test(name))
        changed.Volumes = changed.Snapshots = changed.Reservations = changed.NetworkInterfaces = [];
      return Promise.resolve({});
    };
    return { ec2: Object.assign(ec2, { send }), done };
  }

  /** Changes, and now and then a resource of another plan among what EC2 says is of this one. */
  const hostileAnswers = fc
    .tuple(
      fc.constantFrom<keyof Answers>('Volumes', 'Snapshots', 'Reservations'),
      fc.array(change, { maxLength: 4 }),
      fc.nat(5),
    )
    .map(([which, changes, foreign]) => (): Answers => {
      // The SDK gives lists where the shape has lists; what is in them is what the account has.
      const changed = asList(
        changes.reduce<unknown>((value, one) => withChange(value, one.at, one.change, true), answers[which]),
      );
      const of = (one: unknown, n: number): unknown =>
        n === foreign
          ? JSON.parse(JSON.stringify(one).replaceAll(OURS, OURS.replace('shop', 'other')), reviveDates)
          : one;
      return { ...structuredClone(answers), [which]: changed?.map(of) };
    });
  const asList = (value: unknown): unknown[] | undefined =>
    Array.isArray(value)
      ? value.filter((one) => typeof one === 'object' && one !== null && !Array.isArray(one))
      : undefined;

  /** What is terminated or deleted carries the plan's tag in what was listed. */
  function onlyOurs(done: { name: string; input: unknown }[], changed: Answers): void {
    const listed = Object.values(changed).flatMap((list: unknown) =>
      Array.isArray(list) ? (list as unknown[]) : [],
    );
    const resources = listed.flatMap((one) => (one as { Instances?: unknown[] }).Instances ?? [one]);
    for (const { name, input } of done) {
      if (!/^(Terminate|Delete)/.test(name)) continue;
      for (const [id] of JSON.stringify(input).matchAll(/\b(vol|snap|i|eni)-[0-9a-f]{8,17}\b/g)) {
        // An instance's id is in its volumes' attachments, too: what bears it as its own counts.
        const holders = resources
          .filter((one) => ID_FIELDS.some((field) => (one as Record<string, unknown>)[field] === id))
          .filter((one) => !('Attachments' in (one as object)) || id.startsWith('vol-'))
          .map((one) => JSON.stringify(one));
        const ours = holders.some((text) => text.includes(OURS));
        expect([name, id, ours]).toEqual([name, id, true]);
      }
    }
  }

  const needs = () => ({
    plan: 'shop',
    phase: 'none' as const,
    holder: undefined,
    liveRuns: new Set<string>(),
    madeBefore: new Date(Date.now() + 60_000),
  });

  it(
    'end in words, and remove nothing of others',
    async () => {
      await fc.assert(
        fc.asyncProperty(hostileAnswers, async (make) => {
          const run = steps.site.run('run-1');
          await thoughtOf(() => findDrCopy(changedEc2(make()).ec2, 'shop', 'db'));
          await thoughtOf(() =>
            siteStatus(shopPlan(), { ec2: changedEc2(make()).ec2, store: steps.site.store }),
          );
          await thoughtOf(() => readRecoveryInstances(changedEc2(make()).ec2, steps.site.store, shopPlan()));
          const sweeping = changedEc2(make());
          await thoughtOf(async () => {
            const found = await findLeftovers(sweeping.ec2, needs());
            await removeLeftovers(sweeping.ec2, needs(), new Set(found.map(({ id }) => id)), {
              pollSeconds: 0,
            });
          });
          onlyOurs(sweeping.done, make());
          const cleaning = changedEc2(make());
          await thoughtOf(() =>
            removeRecoveryResources(
              cleaning.ec2,
              { run },
              { pollSeconds: 0, limitSeconds: 1, uncancelled: true },
            ),
          );
          onlyOurs(cleaning.done, make());
        }),
        inputs(),
      );
    },
    inputsMs(),
  );
});
