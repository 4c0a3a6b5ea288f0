import { randomUUID } from 'node:crypto';
import { Client, type WorkflowHandle } from '@temporalio/client';
import { type TestWorkflowEnvironment } from '@temporalio/testing';
import { Worker, type WorkerOptions } from '@temporalio/worker';
import {
  awsProxyHostQueue,
  AWS_PROXY_QUEUE,
  BACKUP_PROXY_QUEUE,
  CONTROL_QUEUE,
} from '../../activities/task-queues';
import { type DrPlan } from '../../plan/schema';
import { type FailoverRequest, type FailoverSummary } from '../../workflows/failover';
import { bundleFor } from '../../wire/bundle-code';
import { dataConverterFor } from '../../wire/data-converter';
import { plainPlan } from '../support/e2e-plan';
import { productBundle } from './product-bundle';

const ZONE = 'eu-central-1a';
const HOST = 'i-0a11fe00000000001';

export interface Input {
  vm?: string;
  vms?: (string | { vm: string })[];
  attempt?: number;
  instanceType?: string;
  subnet?: string;
}
export type Answers = Partial<Record<string, (input: Input) => unknown>>;

/** What is asked for the evidence alone, and changes nothing; not among the calls that tests compare. */
const FOR_EVIDENCE: ReadonlySet<string> = new Set(['writeEvidence', 'inspectDns']);

/** A failover of the plan, with what its activities were asked, in order: `createVolumes web`. */
export async function failOverOn(
  server: TestWorkflowEnvironment,
  request: FailoverRequest,
  answers: Answers,
  {
    of,
    calls = [],
    meanwhile,
    workflowId = `failover-${randomUUID()}`,
    type = 'failover',
    leave = false,
    env = {},
    cachedWorkflows,
  }: {
    of: DrPlan;
    calls?: string[];
    meanwhile?: (run: WorkflowHandle) => Promise<unknown>;
    workflowId?: string;
    type?: 'failover' | 'failback' | 'replication' | 'scheduledTest';
    /** Goes after `meanwhile`, and leaves the run to others. */
    leave?: boolean;
    /** Of client and workers, for what is in its payloads. */
    env?: NodeJS.ProcessEnv;
    /** Workflows that the control worker keeps in memory; the SDK's own number where absent. */
    cachedWorkflows?: number;
  },
): Promise<{ calls: string[]; inputs: Map<string, Input>; outcome: FailoverSummary | Error }> {
  const dataConverter = dataConverterFor(server.namespace ?? 'default', env);
  const client = new Client({ connection: server.connection, namespace: server.namespace, dataConverter });
  const inputs = new Map<string, Input>();
  const activities = (names: string[]): WorkerOptions['activities'] =>
    Object.fromEntries(
      names.map((name) => [
        name,
        async (input: Input = {}): Promise<unknown> => {
          const call = [name, input.vm].filter((part) => part !== undefined).join(' ');
          if (!FOR_EVIDENCE.has(name)) calls.push(call);
          inputs.set(call, input);
          return (await answers[call]?.(input)) ?? (await answers[name]?.(input)) ?? USUAL[name]?.(of, input);
        },
      ]),
    );
  const worker = async (taskQueue: string, names: string[], more: Partial<WorkerOptions> = {}) =>
    Worker.create({
      connection: server.nativeConnection,
      taskQueue,
      activities: activities(names),
      dataConverter,
      ...more,
    });
  const workers = [
    await worker(
      CONTROL_QUEUE,
      [
        ...['loadPlan', 'takePlanState', 'movePlanState', 'checkPlanState', 'noteTest', 'readWindow'],
        'writeEvidence',
      ],
      {
        workflowBundle: await bundleFor(dataConverter, await productBundle()),
        ...(cachedWorkflows === undefined ? {} : { maxCachedWorkflows: cachedWorkflows }),
      },
    ),
    await worker(AWS_PROXY_QUEUE, [
      ...['checkFailover', 'proxyHost', 'createVolumes', 'ensureShellImage', 'launchShell', 'attachVolumes'],
      ...['startInstance', 'waitUntilReady', 'discardShell', 'removeRecoveryResources'],
      ...['registerImage', 'launchInstance', 'deregisterImages', 'readBootScripts', 'requireBootScripts'],
      ...['keepConsoles', 'planRestore', 'launchLicensedShell', 'replaceRootVolume', 'stopInstance'],
      ...['moveDns', 'returnDns', 'checkDns', 'inspectDns'],
      ...['readInstances', 'snapshotInstance', 'checkDiskFits', 'deleteFailbackSnapshots'],
      ...['choosePoints', 'planPointCopy', 'startSnapshot', 'completeSnapshot'],
      ...['finishPointCopy', 'discardPointCopy', 'keepTest', 'removeOverdueTests', 'runHook'],
    ]),
    await worker(BACKUP_PROXY_QUEUE, [
      ...['readPower', 'shutDownVm', 'startVm', 'waitUntilReady', 'fenceVms'],
      ...['checkPrimarySite', 'createTemplateVm', 'attachDisks', 'copySnapshotToDisk', 'revertGuest'],
      ...['configureAndStartVm', 'removeTemplateVm'],
      ...['snapshotVm', 'rehearseAdaptation', 'finishBackup', 'releaseVmSnapshot', 'runHook'],
    ]),
    await worker(awsProxyHostQueue(HOST), ['injectDrivers']),
  ];
  const working = workers.map((one) => one.run());
  try {
    const run = await client.workflow.start<(asked: FailoverRequest) => Promise<FailoverSummary>>(type, {
      workflowId,
      taskQueue: CONTROL_QUEUE,
      args: [request],
      workflowExecutionTimeout: '150s',
    });
    const ended = leave
      ? Promise.resolve(new Error('It goes on.'))
      : run.result().catch((error: Error) => (error.cause as Error | undefined) ?? error);
    await meanwhile?.(run);
    const outcome = await ended;
    return { calls, inputs, outcome };
  } finally {
    for (const one of workers) one.shutdown();
    await Promise.all(working);
  }
}

/** A plan of these VMs. @param dependsOn by VM; none where it is absent */
export function dependent(vms: string[], dependsOn: Record<string, string[]>): DrPlan {
  const plan = plainPlan('shop', vms);
  return { ...plan, vms: plan.vms.map((vm) => ({ ...vm, dependsOn: dependsOn[vm.name] ?? [] })) };
}

/** What the activities answer unless a test says otherwise. */
const USUAL: Record<string, (plan: DrPlan, input: Input) => unknown> = {
  loadPlan: (plan) => ({
    ...{ digest: '0'.repeat(64), plan },
    repository: { bucket: 'lifeboat-shop', prefix: '', region: 'eu-central-1' },
    state: { plan: plan.name, phase: 'protected', generation: 1, digest: '', runId: '', updatedAt: '' },
  }),
  takePlanState: () => ({ generation: 2 }),
  checkFailover: (plan) => ({
    availabilityZone: ZONE,
    drCopies: plan.vms.map(({ name: vm }) => ({
      ...{ vm, recoveryPoint: 'r', takenAt: '2026-11-30T00:00:00Z', disks: [] },
      configuration: { cpus: 1, memoryMiB: 512, firmware: 'bios', disks: [], nics: [] },
    })),
  }),
  proxyHost: () => ({ taskQueue: awsProxyHostQueue(HOST), instanceId: HOST, availabilityZone: ZONE }),
  createVolumes: () => [],
  launchLicensedShell: () => ({ instanceId: 'i-0123456789abcdef0', availabilityZone: ZONE }),
  ensureShellImage: () => ({ imageId: 'ami-0123456789abcdef0' }),
  launchShell: () => ({ instanceId: 'i-0123456789abcdef0' }),
  injectDrivers: () => ({ family: 'test', kernels: [], modules: [], changed: [], warnings: [] }),
  startInstance: () => ({ privateAddress: '10.0.1.20' }),
  waitUntilReady: () => ({ seconds: 1 }),
  keepConsoles: (_, { vms = [] }) =>
    vms
      .map((one) => (typeof one === 'string' ? one : one.vm))
      .map((vm) => ({ vm, console: { takenAt: '2026-11-30T00:00:00Z', screenshot: vm }, warnings: [] })),
  removeRecoveryResources: () => ({ removed: [] }),
  keepTest: () => ({ instances: [] }),
  removeOverdueTests: () => [],
  readWindow: () => ({}),
  fenceVms: () => ({ standing: 'over', digest: '0'.repeat(64), poweredOff: [], failed: [] }),
  moveDns: () => ({ expected: [{ name: 'www.shop.example', values: ['10.0.1.20'] }], notes: [] }),
  returnDns: () => ({ expected: [{ name: 'www.shop.example', values: ['192.168.10.20'] }], notes: [] }),
  checkDns: () => ({ notes: [] }),
  inspectDns: () => ({ names: [], findings: [], notes: [], zoneNotes: [] }),
  readInstances: (_, input) =>
    (input as { plan?: DrPlan }).plan?.vms.map(({ name: vm }) => ({
      ...{ vm, instanceId: `i-${vm}`, instanceType: 'm6i.large', cpus: 2, memoryMiB: 1024, firmware: 'bios' },
      ...{ original: { cpus: 1, memoryMiB: 512, firmware: 'bios', nics: [] }, disks: [] },
    })),
  checkPrimarySite: () => ({ notes: [] }),
  snapshotInstance: () => [],
  revertGuest: () => ({ warnings: [] }),
};
