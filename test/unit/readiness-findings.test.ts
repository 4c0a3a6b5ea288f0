import { type CopySnapshot, type DrCopySet } from '../../activities/aws-proxy/account/dr-copy';
import {
  archiveFindings,
  encryptionFindings,
  keyFindings,
} from '../../activities/aws-proxy/readiness/dr-copy-state';
import { vmNamedIn } from '../../activities/aws-proxy/readiness/refusal';
import { vcpuQuotaOf } from '../../activities/aws-proxy/readiness/vcpu-quota';
import { loadPlanFile, PlanError } from '../../plan/load';
import { runOfWorkflow } from '../../workflows/run/ids';
import { plainPlan } from '../support/e2e-plan';
import { GOOD_PLAN, planFolder } from './plan-file';

const KEY = 'arn:aws:kms:eu-central-1:000000000000:key/1';
const set = (kmsKey?: string): DrCopySet => ({
  ...{ vm: 'db', recoveryPoint: 'point', takenAt: '2026-11-30T10:00:00.000Z', runId: 'run' },
  disks: [
    {
      ...{ key: 'system', sizeBytes: 2 ** 30, slot: 0, boot: true, snapshotId: 'snap-1', volumeGiB: 1 },
      blockMapSha256: '',
      ...(kmsKey === undefined ? {} : { kmsKey }),
    },
  ],
});

it('a DR copy in the archive tier is found, and one that is not is not', () => {
  const inTier = (StorageTier: 'archive' | 'standard') =>
    [{ snapshot: { SnapshotId: 'snap-1', StorageTier }, tags: {} }] as unknown as CopySnapshot[];
  expect(archiveFindings([set()], inTier('archive'))).toMatchObject([
    { code: 'dr-copy-archived', severity: 'impossible', vm: 'db' },
  ]);
  expect(archiveFindings([set()], inTier('standard'))).toEqual([]);
});

it("an encrypted DR copy is not found fault with where the account encrypts, or by the plan's own key", () => {
  const plan = plainPlan('shop', ['db']);
  expect(encryptionFindings(true, plan, [set()])).toHaveLength(1);
  expect(encryptionFindings(true, plan, [set(KEY)])).toEqual([]);
  expect(encryptionFindings(false, plan, [set()])).toEqual([]);
  plan.recoverySite.kmsKey = KEY;
  expect(keyFindings(plan, [set(KEY)])).toEqual([]);
  expect(keyFindings(plan, [set(`${KEY}2`)])).toMatchObject([{ code: 'kms-key' }]);
});

it.each([
  ['m6i.large', 'L-1216C47A'],
  ['t3.nano', 'L-1216C47A'],
  ['c7gn.16xlarge', 'L-1216C47A'],
  ['im4gn.large', 'L-1216C47A'],
  ['z1d.large', 'L-1216C47A'],
  ['p5.48xlarge', 'L-417A185B'],
  ['g6.xlarge', 'L-DB2E81BA'],
  ['gr6.4xlarge', 'L-DB2E81BA'],
  ['vt1.3xlarge', 'L-DB2E81BA'],
  ['inf2.xlarge', 'L-1945791B'],
  ['trn1.2xlarge', 'L-2C3B7624'],
  ['dl1.24xlarge', 'L-6E869C2A'],
  ['f2.6xlarge', 'L-74FC7D96'],
  ['hpc7a.96xlarge', 'L-F7808C92'],
  ['x2idn.16xlarge', 'L-7295265B'],
  ['u-6tb1.56xlarge', 'L-43DA4232'],
  ['u7i-12tb.224xlarge', 'L-43DA4232'],
  ['mac2.metal', undefined],
  ['q9.large', undefined],
])('%s counts against the quota %s', (type, code) => {
  expect(vcpuQuotaOf(type)?.code).toBe(code);
});

it.each([
  ['The address 10.0.1.4 of db is in use, by eni-1.', 'db'],
  ["www.shop.example is to have db's public address.", 'db'],
  ['There is no complete DR copy of web-2; back it up.', 'web-2'],
  ['The address is given to db and web-2.', undefined],
  ['The record db.internal is not there.', undefined],
])('of the VMs, "%s" names %s', (text, vm) => {
  expect(vmNamedIn(plainPlan('shop', ['db', 'web-2']), text)).toBe(vm);
});

it('a plan may say its objectives, as durations, and is the same plan where it does not', async () => {
  const load = async (more: string): Promise<unknown> => {
    const folder = planFolder(GOOD_PLAN + more);
    try {
      return (await loadPlanFile(folder.file)).plan.objectives;
    } catch (error) {
      if (error instanceof PlanError) return error.message;
      throw error;
    } finally {
      folder.remove();
    }
  };
  expect(await load('objectives: { rpo: 2h, rto: 30m }\n')).toEqual({ rpo: 7200, rto: 1800 });
  expect(await load('')).toBeUndefined();
  expect(await load('objectives: { rpo: soon }\n')).toMatch(/objectives\.rpo: must be like 30s/);
  expect(await load('objectives: { rpp: 2h }\n')).toMatch(/objectives\.rpp: is not known here.*"?rpo/);
});

it.each([
  ['lifeboat:shop:check', 'lifeboat:shop:check', undefined],
  ['lifeboat:shop:failover:db', 'lifeboat:shop:failover', 'db'],
  ['lifeboat:shop:failover-test:db', 'lifeboat:shop:failover-test', 'db'],
  ['lifeboat:shop:check-2026-11-30T16:25:02Z', 'lifeboat:shop:check-2026-11-30T16:25:02Z', undefined],
  ['lifeboat:shop:verify-2026-11-30T16:25:02Z:db', 'lifeboat:shop:verify-2026-11-30T16:25:02Z', 'db'],
  ['of-somebody-else:1:2:3', 'of-somebody-else:1:2:3', undefined],
])('%s is the run %s, or its child for the VM %s', (id, workflowId, vm) => {
  expect(runOfWorkflow(id)).toEqual({ workflowId, ...(vm === undefined ? {} : { vm }) });
});
