import { CreateVolumeCommand, type DescribeVolumesRequest, type Volume } from '@aws-sdk/client-ec2';
import { findVolume } from '../../activities/aws-proxy/account/lookup';
import { volumeAvailable } from '../../activities/aws-proxy/account/volumes';
import { PROXY_AVAILABILITY_ZONE } from '../../sandbox/aws/fixtures';
import { quietEnvironment } from '../support/failover-site';
import { startTestAccount, type TestAccount } from './test-account';

/** A gate at which the endpoint holds answers back that it has already made. */
class Gate {
  private open: () => void = () => undefined;
  passed = Promise.resolve();

  close(): void {
    this.passed = new Promise((resolve) => (this.open = resolve));
  }

  release(): void {
    this.open();
    this.passed = Promise.resolve();
  }
}

describe('looks at volumes', () => {
  const gate = new Gate();
  let looks: DescribeVolumesRequest[] = [];
  let looked: () => void = () => undefined;
  let account: TestAccount;
  beforeAll(async () => {
    account = await startTestAccount(async ({ operation, input }, handle) => {
      if (operation !== 'DescribeVolumes') return handle();
      looks.push(input);
      const answer = await handle();
      looked();
      await gate.passed;
      return answer;
    });
  });
  afterAll(() => account.close());
  beforeEach(() => (looks = []));

  async function createVolumes(count: number): Promise<string[]> {
    const ids: string[] = [];
    for (let n = 0; n < count; n++) {
      const { VolumeId = '' } = await account.clients.ec2.send(
        new CreateVolumeCommand({ AvailabilityZone: PROXY_AVAILABILITY_ZONE, Size: 1, VolumeType: 'gp3' }),
      );
      ids.push(VolumeId);
    }
    return ids;
  }
  const find = (id: string) => findVolume(account.clients.ec2, id);
  const named = ({ Filters }: DescribeVolumesRequest) =>
    Filters?.flatMap(({ Name, Values }) => (Name === 'volume-id' ? (Values ?? []) : []));
  const firstAnswer = () => new Promise<void>((resolve) => (looked = resolve));

  it('are one call for all who ask at the same time, and for all who ask while it is under way', async () => {
    const ids = await createVolumes(3);
    const unknown = 'vol-0123456789abcdef0';
    gate.close();
    const answered = firstAnswer();
    const first = [...ids, unknown, ...ids].map(find);
    await answered;
    const second = [...ids, ...ids].map(find);
    gate.release();
    expect((await Promise.all(first)).map((volume) => volume?.VolumeId)).toEqual([...ids, undefined, ...ids]);
    expect((await Promise.all(second)).map((volume) => volume?.VolumeId)).toEqual([...ids, ...ids]);
    expect(looks.map(named)).toEqual([[...ids, unknown], ids]);
  });

  it('are never older than the question', async () => {
    gate.close();
    const answered = firstAnswer();
    const before = find('vol-0123456789abcdef0');
    await answered;
    // The look that is under way has been answered without it.
    const [made = ''] = await createVolumes(1);
    const after = find(made);
    gate.release();
    expect(await before).toBeUndefined();
    expect((await after)?.VolumeId).toBe(made);
  });

  it('take as many values as a filter does, and what they do not find is no error', async () => {
    const ids = Array.from({ length: 450 }, (_, n) => `vol-${n.toString(16).padStart(17, '0')}`);
    expect(new Set(await Promise.all(ids.map(find)))).toEqual(new Set([undefined]));
    expect(looks.map((look) => named(look)?.length)).toEqual([200, 200, 50]);
  });

  it('end for whoever is cancelled, and for nobody else', async () => {
    const [id = ''] = await createVolumes(1);
    gate.close();
    const environment = quietEnvironment();
    const answered = firstAnswer();
    const cancelled = environment.run(() => find(id)).catch((error: unknown) => error);
    const other: Promise<Volume | undefined> = quietEnvironment().run(() => find(id));
    await answered;
    environment.cancel();
    expect(await cancelled).toMatchObject({ name: 'CancelledFailure' });
    gate.release();
    expect((await other)?.VolumeId).toBe(id);
  });

  it('fail for all who share one, and for nobody later', async () => {
    const [id = ''] = await createVolumes(1);
    const { middlewareStack } = account.clients.ec2;
    const name = 'testFails';
    middlewareStack.add(() => () => Promise.reject(new Error('reset')), { step: 'initialize', name });
    const failing = await Promise.allSettled([find(id), find(id)]);
    middlewareStack.remove(name);
    expect(failing.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect((await find(id))?.VolumeId).toBe(id);
  });

  it('are as many for 60 waits as for one', async () => {
    const ids = await createVolumes(60);
    const began = Date.now();
    looks = [];
    await Promise.all(
      ids.map((id) => quietEnvironment().run(() => volumeAvailable(account.clients.ec2, id))),
    );
    // One at once, and one each second; two where a busy machine wakes some of the waits late.
    expect(looks.length).toBeLessThanOrEqual(4 + (2 * (Date.now() - began)) / 1000);
  });
});
