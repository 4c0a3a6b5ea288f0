import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { StartSnapshotCommand } from '@aws-sdk/client-ebs';
import { deleteSnapshots } from '../../activities/aws-proxy/account/snapshots';
import { readExpected } from '../../client/aws-check/expected';
import { CHECK_POLICY, policiesWith } from '../../client/aws-check/policies';
import { CHECK_TAG } from '../../client/aws-check/site';
import { removeTestResources } from '../../client/aws-check/test-resources/removal';
import { runCli } from '../../cli/program';
import { projectRoot } from '../../host/project-root';
import { SHOP_HOSTED_ZONE_ID } from '../../sandbox/aws/fixtures';
import { injecting } from '../../sandbox/aws/faults/injecting';
import { FAULTS_FILE, type FaultRule, STRUCK_FILE } from '../../sandbox/aws/faults/rule';
import { type EndpointOptions } from '../../sandbox/aws/wire/endpoint';
import { ConnectionResetError } from '../../sandbox/aws/wire/endpoint';
import { type CheckedAccount, checkedAccount } from '../support/checked-account';
import { testIo } from '../unit/cli-io';

/** Calls that change something. */
const CHANGES = /^(Start|Put|Complete|Create|Register|Deregister|Delete|Change|Lock|Unlock)/;
const PLAN = join(projectRoot(), 'examples/shop/plan.yaml');

type Intercept = NonNullable<EndpointOptions['intercept']>;
const asItIs: Intercept = (_, handle) => handle();
let meddle = asItIs;
let checked: CheckedAccount;
let directory: string;
const environment = { ...process.env };

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'lifeboat-aws-check-'));
  checked = await checkedAccount((call, handle) => meddle(call, handle));
});
afterAll(async () => {
  await checked.close();
  rmSync(directory, { recursive: true });
  process.env = environment;
});
afterEach(async () => {
  meddle = asItIs;
  await removeTestResources(checked.site, { hostedZone: SHOP_HOSTED_ZONE_ID, pollSeconds: 0.02 });
});

/** Lets the sandbox fail by rules. */
function setRules(...rules: FaultRule[]): void {
  rmSync(join(directory, STRUCK_FILE), { force: true });
  writeFileSync(join(directory, FAULTS_FILE), JSON.stringify({ rules }));
  meddle = injecting(directory, (message, error) => {
    throw new Error(message, { cause: error });
  });
}

const verdictsOf = ({ lines }: Awaited<ReturnType<CheckedAccount['check']>>, wanted: string): string[] =>
  lines.filter(({ verdict }) => verdict === wanted).map(({ question }) => question);

describe('a check of the account', () => {
  it('finds the sandbox as it was recorded, removes all, and says what it cost', async () => {
    const found = await checked.check({ everything: true });
    expect(found.differences).toEqual([]);
    expect(found.lines.filter(({ verdict }) => verdict !== 'ok')).toEqual([]);
    // Every question that was recorded is asked, and none that was not.
    expect(Object.keys(found.answers).sort()).toEqual(Object.keys(readExpected()).sort());
    expect(found.after?.removed).toEqual(expect.arrayContaining([expect.stringMatching(/^snap-/)]));
    expect(found.after?.left).toEqual([]);
    expect(await checked.left()).toEqual([]);
    expect(found.cost).toBeGreaterThan(0);
    expect(found.cost).toBeLessThan(0.01);

    // Whoever has the check's policy may ask all of it.
    const actions = new Set(found.lines.flatMap(({ action }) => action ?? []));
    // AWS tells it to anybody.
    actions.delete('sts:GetCallerIdentity');
    expect([...actions].filter((action) => !policiesWith(action).includes(CHECK_POLICY))).toEqual([]);
  });

  it('changes nothing unless it is told to', async () => {
    const changes: string[] = [];
    meddle = (call, handle) => {
      if (CHANGES.test(call.operation) && (call.input as { DryRun?: boolean }).DryRun !== true)
        changes.push(call.operation);
      return handle();
    };
    const found = await checked.check();
    expect(verdictsOf(found, 'ok').length).toBeGreaterThan(15);
    expect(verdictsOf(found, 'not asked')).toEqual(['s3.conditional', 'ebs.write', 'ec2.may-launch']);
    expect(found.lines.length).toBe(verdictsOf(found, 'ok').length + 3);
    expect(changes).toEqual([]);
  });

  it('tells where AWS answers otherwise, in fields, facts, states and errors, and goes on', async () => {
    meddle = async (call, handle) => {
      const answer = await handle();
      const altered = (more: object): object => ({ ...answer, ...more });
      if (call.operation === 'ListChangedBlocks') {
        const { ChangedBlocks = [] } = answer as { ChangedBlocks?: object[] };
        return altered({ ChangedBlocks: [{ BlockIndex: 0, SecondBlockToken: 'AAAA' }, ...ChangedBlocks] });
      }
      if (call.operation === 'StartSnapshot') return altered({ BlockSize: undefined });
      if (call.operation === 'GetChange')
        return altered({
          ChangeInfo: { ...(answer as { ChangeInfo: object }).ChangeInfo, Status: 'INSYNC' },
        });
      return answer;
    };
    const found = await checked.check({ everything: true });
    const told = found.differences.map(({ question, about, sandbox, aws }) => [
      question,
      about,
      sandbox,
      aws,
    ]);
    expect(told).toEqual(
      expect.arrayContaining([
        ['ebs.changed', 'blocks', '1, 5', '0, 1, 5'],
        ['ebs.changed-child-to-volume', 'blocks', 'none', '0'],
        ['ebs.start', 'field BlockSize', 'there', 'missing'],
        ['ebs.start', 'BlockSize', '524288', 'null'],
      ]),
    );
    expect(found.lines.find(({ question }) => question === 'ebs.changed')).toMatchObject({
      verdict: 'differs',
      detail: 'blocks: the sandbox says 1, 5, AWS says 0, 1, 5.',
    });
    expect(await checked.left()).toEqual([]);
  });

  it('tells another code or status of an error; its words alone are no difference', async () => {
    const error = (code: string, status: number) =>
      ({ kind: 'error', code, status, message: 'No.' }) as const;
    setRules(
      { name: 'code', operations: ['DeleteSnapshot'], times: 1, fault: error('InvalidState', 400) },
      {
        name: 'status',
        operations: ['DeregisterImage'],
        skip: 1,
        times: 1,
        fault: error('InvalidAMIID.NotFound', 404),
      },
      { name: 'words', operations: ['LockSnapshot'], times: 1, fault: error('SnapshotLocked', 400) },
      {
        name: 'words only',
        operations: ['DescribeVolumes'],
        times: 1,
        fault: error('InvalidVolume.NotFound', 400),
      },
    );
    const found = await checked.check({ everything: true });
    expect(found.differences.map((one) => [one.question, one.about, one.wordsOnly])).toEqual([
      ['ec2.no-volume', 'words', true],
      ['ec2.delete-snapshot-of-image', 'error code', false],
      ['ec2.delete-snapshot-of-image', 'words', true],
      ['ec2.deregister-again', 'HTTP status', false],
      ['ec2.deregister-again', 'words', true],
      ['ec2.lock', 'outcome', false],
    ]);
    expect(verdictsOf(found, 'differs')).toEqual([
      'ec2.delete-snapshot-of-image',
      'ec2.deregister-again',
      'ec2.lock',
    ]);
    expect(await checked.left()).toEqual([]);
  });

  it('tells a snapshot that fails, and asks no more of it', async () => {
    setRules({
      name: 'fails',
      operations: ['CompleteSnapshot'],
      times: 1,
      fault: { kind: 'resource-error' },
    });
    const found = await checked.check({ everything: true });
    expect(found.differences).toEqual([
      expect.objectContaining({
        question: 'ec2.completed',
        sandbox: 'pending, completed',
        aws: 'pending, error',
      }),
    ]);
    expect(await checked.left()).toEqual([]);
  });

  it('names the action that is refused, and the policies that have it', async () => {
    setRules({
      name: 'refused',
      operations: ['RegisterImage'],
      fault: {
        kind: 'error',
        code: 'UnauthorizedOperation',
        status: 403,
        message: 'You are not authorized.',
      },
    });
    const found = await checked.check({ everything: true });
    expect(verdictsOf(found, 'refused')).toEqual(['ec2.image-of-pending', 'ec2.image']);
    expect(found.differences).toEqual([]);
    expect(policiesWith('ec2:RegisterImage').slice(0, 2)).toEqual([
      'deploy/iam/aws-check.json',
      'deploy/iam/aws-proxy.json',
    ]);
    expect(await checked.left()).toEqual([]);
  });

  it('tells what nobody answers to', async () => {
    setRules({ name: 'away', services: ['ebs'], fault: { kind: 'reset' } });
    const found = await checked.check({ everything: true });
    expect(verdictsOf(found, 'unreachable')).toEqual(['ebs.no-snapshot', 'ebs.start', 'ebs.start-other']);
    expect(await checked.left()).toEqual([]);
  });
});

it('removes nothing of Lifeboat’s that somebody has given its tag, and nothing of others', async () => {
  const { ec2, ebs } = checked.account.clients;
  const check = { Key: CHECK_TAG, Value: 'c-0123456789ab' };
  const snapshot = (Description: string, ...Tags: { Key: string; Value: string }[]) =>
    ebs.send(new StartSnapshotCommand({ VolumeSize: 1, Description, Tags }));
  const made = await Promise.all([
    snapshot('db', check),
    snapshot('lifeboat aws check', check, { Key: 'lifeboat:plan', Value: 'shop' }),
    snapshot('lifeboat aws check', { ...check, Value: 'mine' }),
    snapshot('lifeboat aws check'),
  ]);
  const ours = await snapshot('lifeboat aws check', check);
  expect(await removeTestResources(checked.site)).toEqual({ removed: [ours.SnapshotId], left: [] });
  const ids = made.map(({ SnapshotId = '' }) => SnapshotId);
  expect((await checked.left()).sort()).toEqual([...ids].sort());
  await deleteSnapshots(ec2, ids);
});

describe('lifeboat aws check', () => {
  beforeAll(() => {
    Object.assign(process.env, {
      AWS_ENDPOINT_URL: checked.account.repository.endpoint,
      AWS_REGION: checked.site.region,
    });
    delete process.env.LIFEBOAT_REPOSITORY;
  });

  async function cli(...argv: string[]) {
    const world = testIo(process.env, directory);
    const code = await runCli(['aws', 'check', ...argv], world.io);
    return { code, out: world.out, err: world.err };
  }

  it('says one line an answer, and makes nothing where nobody can be asked', async () => {
    const looked = await cli(PLAN);
    expect(looked).toMatchObject({ code: 0, err: '' });
    expect(looked.out).toMatch(/^ok {11}the credentials are somebody’s: They are arn:aws:/m);
    expect(looked.out).toMatch(/^not asked {4}the bucket takes conditional writes: Only a try shows it/m);
    const refused = await cli(PLAN, '--with-test-resources');
    expect(refused).toEqual({
      code: 2,
      out: '',
      err: 'lifeboat: Nothing was made, as nobody can be asked here; add --yes.\n',
    });
    expect((await cli(PLAN, '--with-lock')).code).toBe(2);
  });

  it('needs no plan, and says of which network nothing is known', async () => {
    const looked = await cli('--json');
    expect(looked.code).toBe(0);
    const { answers } = JSON.parse(looked.out) as { answers: { question: string; verdict: string }[] };
    expect(answers.find(({ question }) => question === 's3.bucket')).toMatchObject({ verdict: 'not asked' });
  });

  it('ends with 6 and the policy where an action is refused, and with 5 and a table where AWS differs', async () => {
    const fault = { kind: 'error', code: 'UnauthorizedOperation', status: 403, message: 'No.' } as const;
    setRules({ name: 'refused', operations: ['GetEbsEncryptionByDefault'], fault });
    const refused = await cli(PLAN);
    expect(refused.code).toBe(6);
    expect(refused.out).toContain(
      'No. The action is ec2:GetEbsEncryptionByDefault; it is in deploy/iam/aws-check.json, and in deploy/iam/aws-proxy.json.',
    );
    setRules({
      name: 'other',
      operations: ['DeregisterImage'],
      skip: 1,
      times: 1,
      fault: { kind: 'error', code: 'InvalidAMIID.Unavailable', message: 'It is gone.' },
    });
    const differs = await cli(PLAN, '--with-test-resources', '--yes');
    expect(differs.code).toBe(5);
    expect(differs.out).toMatch(
      /ec2\.deregister-again .* error code .* InvalidAMIID\.NotFound .* InvalidAMIID\.Unavailable/,
    );
    expect(differs.out).toMatch(/^Made by this check: ami-.*; removed\.$/m);
    expect(differs.out).toMatch(/^It cost at most 0\.00\d\d \$/m);
    expect(await checked.left()).toEqual([]);
  });

  it('asks in the plan’s Region, and says where AWS_REGION is another', async () => {
    process.env.AWS_REGION = 'us-east-1';
    try {
      const { code, out } = await cli(PLAN);
      expect(code).toBe(5);
      expect(out.match(/^differs .*$/gm)).toEqual([
        expect.stringContaining('in eu-central-1; this AWS proxy works in us-east-1'),
      ]);
      process.env.LIFEBOAT_REPOSITORY = 'shop';
      expect(await cli()).toMatchObject({
        code: 2,
        err: expect.stringContaining('LIFEBOAT_REPOSITORY is "shop"') as string,
      });
    } finally {
      process.env.AWS_REGION = checked.site.region;
      delete process.env.LIFEBOAT_REPOSITORY;
    }
  });

  it('ends with 3 where the credentials are nobody’s', async () => {
    const fault = { kind: 'error', code: 'InvalidClientTokenId', status: 403, message: 'Unknown.' } as const;
    setRules({ name: 'nobody', services: ['sts'], fault });
    const { code, out } = await cli(PLAN, '--with-test-resources', '--yes');
    expect({ code, lines: out.split('\n').length }).toEqual({ code: 3, lines: 3 });
  });

  it('removes what it made when it is stopped by Ctrl-C', async () => {
    const world = testIo(process.env, directory);
    meddle = async (call, handle) => {
      const answer = await handle();
      if (call.operation === 'CreateVolume') world.interrupt();
      return answer;
    };
    const code = await runCli(['aws', 'check', PLAN, '--with-test-resources', '--yes'], world.io);
    expect(code).toBe(1);
    expect(world.out).toMatch(/^Made by this check: snap-.*, vol-[0-9a-f]+; removed\.$/m);
    expect(world.out).toMatch(/^It was stopped before its end\.$/m);
    expect(world.out).not.toContain('an image is registered');
    expect(await checked.left()).toEqual([]);
  });
});

/** Whether a check is killed after every single change; a kill takes half a second. */
const ALL = process.env.LIFEBOAT_LONG_TESTS === '1';

/** What leaves something that only this leaves. */
const DEAR = new Set(['LockSnapshot', 'ChangeResourceRecordSets']);

describe('a check that is killed', () => {
  it('leaves nothing that the next one does not remove, whichever change was its last', async () => {
    const changes: string[] = [];
    meddle = (call, handle) => {
      if (CHANGES.test(call.operation)) changes.push(call.operation);
      return handle();
    };
    await checked.check({ everything: true });
    expect(changes.length).toBeGreaterThan(40);
    const kills = changes.flatMap((operation, at) =>
      ALL || at % 12 === 0 || (DEAR.has(operation) && changes.indexOf(operation) === at) ? [at + 1] : [],
    );
    let foundLeft = 0;
    for (const last of kills.filter((one) => one < changes.length)) {
      let done = 0;
      meddle = async (call, handle) => {
        // What a dead process does not ask any more.
        if (done >= last) throw new ConnectionResetError();
        if (CHANGES.test(call.operation)) done += 1;
        const answer = await handle();
        // The last change takes effect, and nobody learns of it.
        if (done >= last) throw new ConnectionResetError();
        return answer;
      };
      await checked.check({ everything: true, removalSeconds: 0 });
      meddle = asItIs;
      foundLeft += (await checked.left()).length;
      const { left } = await removeTestResources(checked.site, { pollSeconds: 0.02 });
      expect({ last, left, there: await checked.left() }).toEqual({ last, left: [], there: [] });
    }
    expect(foundLeft).toBeGreaterThan(kills.length);
  }, 90_000);

  it('is cleaned up after SIGKILL by the next run, which says so', async () => {
    const child = spawn(
      process.execPath,
      [
        join(projectRoot(), 'test/support/run-typescript.mjs'),
        join(projectRoot(), 'test/contract/aws-check-to-be-killed.ts'),
        PLAN,
      ],
      { stdio: 'ignore', cwd: directory, env: process.env },
    );
    const ended = once(child, 'exit');
    meddle = async (call, handle) => {
      const answer = await handle();
      if (call.operation === 'RegisterImage') child.kill('SIGKILL');
      return answer;
    };
    expect(await ended).toEqual([null, 'SIGKILL']);
    meddle = asItIs;
    const left = await checked.left();
    expect(left).toEqual(
      expect.arrayContaining([expect.stringMatching(/^ami-/), expect.stringMatching(/^snap-/)]),
    );
    const before: string[] = [];
    const found = await checked.check({
      everything: true,
      onRemovedBefore: ({ removed }) => before.push(...removed),
    });
    expect(before.sort()).toEqual(left.sort());
    expect(found.differences).toEqual([]);
    expect(await checked.left()).toEqual([]);
  });
});
