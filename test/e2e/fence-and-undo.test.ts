import { once } from 'node:events';
import { join } from 'node:path';
import { dialer, parseDialRoutes } from '../../activities/dial';
import { RunFailedError } from '../../client/errors';
import { siteStatus } from '../../client/site-status';
import { projectRoot } from '../../host/project-root';
import { type DrPlan } from '../../plan/schema';
import { SHOP_HOSTED_ZONE_ID } from '../../sandbox/aws/fixtures';
import { buildShopGuests } from '../../sandbox/guests/build';
import { workerEnvironment } from '../../sandbox/supervisor/processes';
import { supervisorReport } from '../../sandbox/supervisor/report';
import { Account } from '../chaos/account';
import { plainPlan } from '../support/e2e-plan';
import { type E2eSandbox, openE2eSandbox, SANDBOX_SECONDS } from '../support/e2e-sandbox';
import { eventually } from '../support/eventually';

const NAME = 'db.shop.example';
const HOME = '192.168.10.30';
/** Guests boot under emulation; on a busy machine one takes minutes. */
const STEP_MS = 400_000;
const BOOT_SECONDS = 240;

/** Namespaces, taps and FUSE need root. */
const asRoot = process.getuid?.() === 0 ? describe : describe.skip;

// One story of one VM, whose orders tell where it was: each test goes on where the one before ended.
asRoot('a database whose data centre comes back (needs root)', () => {
  let sandbox: E2eSandbox;
  let account: Account;
  let argument: { plan: string; digest: string };
  let dial: ReturnType<typeof dialer>;
  const plan: DrPlan = plainPlan('shop', ['db'], {
    dns: {
      hostedZone: SHOP_HOSTED_ZONE_ID,
      records: [{ name: NAME, vm: 'db', address: 'private', ttl: 5 }],
    },
  });
  plan.vms = plan.vms.map((vm) => ({
    ...{ ...vm, primaryAddress: HOME, hostNames: ['db'] },
    readiness: { tcp: 6379, timeout: 300 },
  }));

  beforeAll(
    async () => {
      sandbox = await openE2eSandbox('fence-and-undo', { runner: 'qemu', application: 'none' });
      account = new Account(sandbox.config);
      dial = dialer(parseDialRoutes(workerEnvironment(sandbox.config).LIFEBOAT_DIAL ?? ''));
      const cacheDirectory = join(projectRoot(), '.lifeboat', 'cache');
      const guests = await buildShopGuests({ cacheDirectory, log: () => {} });
      for (const guest of guests.filter(({ name }) => name === 'db')) await sandbox.site.importVm(guest);
      await account.setAddress(NAME, HOME);
      argument = await sandbox.publish(plan);
      await (await sandbox.client.backup(argument)).result();
      await (await sandbox.client.restore(argument)).result();
    },
    SANDBOX_SECONDS * 1000 + STEP_MS,
  );

  afterAll(async () => {
    account?.close();
    await sandbox?.close();
  }, SANDBOX_SECONDS * 1000);

  /** Says something to the database at this address, as a client on its network would. */
  async function say(address: string, words: string): Promise<string> {
    const socket = await dial(address, 6379, AbortSignal.timeout(5000));
    try {
      socket.end(`${words}\r\nQUIT\r\n`);
      let answer = '';
      socket.on('data', (data: Buffer) => (answer += data.toString()));
      await once(socket, 'close');
      return answer;
    } finally {
      socket.destroy();
    }
  }
  const place = async (order: string): Promise<void> => {
    expect(await say((await account.address(NAME)) ?? '', `RPUSH orders ${order}`)).toMatch(/^:\d/);
  };
  /** What the database has where its name leads. */
  const orders = async (): Promise<string[]> => {
    const answer = await say((await account.address(NAME)) ?? '', 'LRANGE orders 0 -1');
    return answer.split('\r\n').filter((line) => /^(home|ec2)/.test(line));
  };
  const status = () => siteStatus(plan, { ec2: sandbox.aws.ec2, store: sandbox.store });
  const power = async () => (await sandbox.site.hypervisor.describeVm('db')).power;

  /** As if the way to the data centre were cut. @returns what mends it */
  async function cutDataCentreOff(): Promise<() => void> {
    const proxy = (await supervisorReport(sandbox.config)).find(({ name }) => name === 'worker-backup-proxy');
    const { pid } = proxy ?? {};
    if (pid === undefined) throw new Error('There is no backup proxy.');
    process.kill(pid, 'SIGSTOP');
    return () => void process.kill(pid, 'SIGCONT');
  }

  it(
    'does not serve at home any more when power and network are back',
    async () => {
      const mend = await cutDataCentreOff();
      try {
        const summary = await (await sandbox.client.failover({ ...argument, mode: 'disaster' })).result();
        expect(summary.fence).toEqual({ workflowId: 'lifeboat:shop:fence' });
        expect(await account.address(NAME)).toBe(summary.vms[0]?.privateAddress);
        await place('ec2-1');
        expect((await status()).fence).toMatchObject({ standing: 'open' });
        expect((await status()).fence?.answeredAt).toBeUndefined();
        await sandbox.site.hypervisor.powerOn('db');
      } finally {
        mend();
      }
      let served = false;
      await eventually(BOOT_SECONDS, async () => {
        served ||= await say(HOME, 'PING').then(
          () => true,
          () => false,
        );
        return (await status()).fence?.vms;
      });
      expect(served).toBe(false);
      expect(await power()).toBe('off');
      expect(await status()).toMatchObject({
        phase: 'failed-over',
        fence: { standing: 'open', answeredAt: expect.any(String) as string, vms: [{ vm: 'db', times: 1 }] },
      });
      expect(await orders()).toEqual(['ec2-1']);
    },
    STEP_MS,
  );

  /** An undo that says nothing tells what it would discard; it is done when that is said back. */
  async function undo(wording: RegExp) {
    const refused: unknown = await (
      await sandbox.client.undo(argument)
    )
      .result()
      .catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(RunFailedError);
    const [, discardWritesSince] = wording.exec((refused as Error).message) ?? [];
    expect(discardWritesSince).toBeDefined();
    return (
      await sandbox.client.undo({ ...argument, discardWritesSince: discardWritesSince ?? '' })
    ).result();
  }

  it(
    'serves on EC2 again when its failback is undone, without what was written at home since',
    async () => {
      await sandbox.site.hypervisor.deleteVm('db');
      await (await sandbox.client.failback(argument)).result();
      expect(await account.address(NAME)).toBe(HOME);
      await place('home-1');
      // The fence has let it be.
      expect(await power()).toBe('running');

      const undone = await undo(/db wrote at the primary site since (\S+)\. /);
      expect(undone).toMatchObject({ undone: 'failback', vms: [{ vm: 'db' }] });
      expect(await orders()).toEqual(['ec2-1']);
      expect(await account.address(NAME)).not.toBe(HOME);
      expect(await power()).toBe('off');
      expect(await status()).toMatchObject({ phase: 'failed-over', fence: { standing: 'open' } });
      await place('ec2-2');
    },
    STEP_MS,
  );

  it(
    'serves at home again when its failover is undone, without what was written on EC2 since, of which nothing is left',
    async () => {
      const undone = await undo(/db wrote on EC2 since (\S+)\. /);
      expect(undone).toMatchObject({ undone: 'failover', vms: [{ vm: 'db' }] });
      expect(await account.address(NAME)).toBe(HOME);
      expect(await orders()).toEqual(['ec2-1', 'home-1']);
      expect(await status()).toMatchObject({ phase: 'protected', vms: [{ runsAt: 'primary' }] });
      expect((await status()).fence).toBeUndefined();
      const left = (await account.ofPlan('shop')).filter(({ tags }) => tags['lifeboat:role'] !== 'dr-copy');
      expect(left.map(({ kind, state }) => `${kind} ${state}`)).toEqual([]);
    },
    STEP_MS,
  );
});
