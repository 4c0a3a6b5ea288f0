import { ApplicationFailure } from '@temporalio/common';
import { type TestWorkflowEnvironment } from '@temporalio/testing';
import { Worker, type WorkerOptions } from '@temporalio/worker';
import { createFencingActivities } from '../../activities/backup-proxy/fencing';
import { createPowerActivities } from '../../activities/backup-proxy/power';
import { createPrimarySiteActivities } from '../../activities/backup-proxy/primary-site';
import { createControlActivities } from '../../activities/control/activities';
import { AWS_PROXY_QUEUE, BACKUP_PROXY_QUEUE, CONTROL_QUEUE } from '../../activities/task-queues';
import { type Hypervisor, NotShutDownError, VmNotFoundError } from '../../hypervisor/port';
import { type PlanPhase, type PlanState, type RunContext } from '../../plan/run';
import { type DrPlan } from '../../plan/schema';
import { movePlanState, readPlanState, takePlanState } from '../../repository/plans/plan-state';
import { publishPlan } from '../../repository/plans/plans';
import { MemoryObjectStore } from '../support/memory-object-store';
import { RUN } from '../support/run-context';
import { productBundle } from './product-bundle';

/** When the first volume of an instance was made of its DR copy. */
export const RECOVERED_AT = '2026-11-30T10:00:00.250Z';
/** When the failback stopped the first instance. */
export const HOME_SINCE = '2026-11-30T12:00:00.500Z';

type Site = 'home' | 'recovery';

/**
 * Both sites of a plan as far as power, DNS and the plan's state go. The plan's state and what decides by it are the product's own, on
 * objects in memory; machines are names that are on or off.
 */
export class TwoSites {
  readonly store = new MemoryObjectStore();
  /** What was asked of the sites, in order: `stopInstance db`. */
  readonly calls: string[] = [];
  readonly home = new Map<string, { power: 'running' | 'off'; mark?: string }>();
  readonly instances = new Map<string, 'running' | 'stopped'>();
  dns: Site = 'recovery';
  /** Set where an instance ran while a VM at home did: the application twice. */
  twice: string | undefined;
  /** Calls that fail, by what they are noted as. */
  readonly faults = new Map<string, Error>();
  /** Guests at home that do not listen. */
  readonly deaf = new Set<string>();
  /** Runs before a call is answered. */
  before: (call: string) => void | Promise<void> = () => undefined;
  digest = '';

  constructor(readonly plan: DrPlan) {
    for (const { name } of plan.vms) {
      this.home.set(name, { power: 'off' });
      this.instances.set(name, 'running');
    }
  }

  /** The plan in this phase, as a run has left it. */
  async be(phase: PlanPhase, more: { fence?: boolean; homeSince?: string } = {}): Promise<RunContext> {
    this.digest = (await publishPlan(this.store, this.plan, [])).digest;
    return this.leave(phase, 'earlier', more);
  }

  /** A run takes the state, whatever it is, and leaves it in this phase. */
  async leave(
    phase: PlanPhase,
    runId: string,
    more: { fence?: boolean; homeSince?: string; undoing?: 'failover' | 'failback' } = {},
  ): Promise<RunContext> {
    const { undoing, ...moved } = more;
    const context = { ...RUN, plan: this.plan.name, digest: this.digest, runId };
    const from = (await this.state())?.phase ?? 'none';
    const via = phase === 'failing-back' ? 'failing-back' : 'failing-over';
    const { generation } = await takePlanState(this.store, context, [from], via, { undoing });
    const run = { ...context, generation };
    if (phase !== via) await movePlanState(this.store, run, phase, moved);
    return run;
  }

  state = (): Promise<PlanState | undefined> => readPlanState(this.store, this.plan.name);

  of(...activities: string[]): string[] {
    return this.calls.filter((call) => activities.includes(call.split(' ')[0] ?? ''));
  }

  running(site: Site): string[] {
    const power =
      site === 'home'
        ? [...this.home].map(([vm, { power }]) => [vm, power])
        : [...this.instances].map(([vm, power]) => [vm, power]);
    return power.flatMap(([vm = '', on]) => (on === 'running' ? [vm] : [])).sort();
  }

  private async note(call: string): Promise<void> {
    await this.before(call);
    this.calls.push(call);
    const fault = this.faults.get(call);
    if (fault !== undefined) throw fault;
  }

  private compare(): void {
    const [home, recovery] = [this.running('home'), this.running('recovery')];
    if (home.length > 0 && recovery.length > 0) this.twice ??= `${home.join()} and ${recovery.join()}`;
  }

  private hypervisor(): Hypervisor {
    const find = (vm: string) => {
      const found = this.home.get(vm);
      if (found === undefined) throw new VmNotFoundError(vm);
      return found;
    };
    const set = (vm: string, power: 'running' | 'off') => {
      find(vm).power = power;
      this.compare();
    };
    return {
      describeVm: (vm: string) => Promise.resolve({ ...find(vm), disks: [] }),
      freeBytes: () => Promise.resolve(2 ** 40),
      createVm: async (vm: string, _: unknown, mark?: string) => {
        await this.note(`createVm ${vm}`);
        this.home.set(vm, { power: 'off', mark });
      },
      deleteVm: async (vm: string) => {
        await this.note(`deleteVm ${vm}`);
        this.home.delete(vm);
      },
      configureVm: () => Promise.resolve(),
      addDisk: () => Promise.resolve(),
      powerOn: async (vm: string) => {
        await this.note(`powerOn ${vm}`);
        set(vm, 'running');
      },
      powerOff: async (vm: string) => {
        await this.note(`powerOff ${vm}`);
        set(vm, 'off');
      },
      shutDown: async (vm: string, seconds: number) => {
        await this.note(`shutDown ${vm}`);
        if (this.deaf.has(vm)) throw new NotShutDownError(vm, seconds);
        set(vm, 'off');
      },
    } as unknown as Hypervisor;
  }

  private atHome() {
    const dependencies = { hypervisor: this.hypervisor(), objectStore: () => this.store };
    return {
      ...createPowerActivities(dependencies),
      ...createFencingActivities(dependencies),
      ...createPrimarySiteActivities({
        hypervisor: this.hypervisor(),
        guestAdapter: {} as never,
        dial: {} as never,
      }),
      waitUntilReady: async ({ vm }: { vm: string }) => {
        await this.note(`waitUntilReady at home ${vm}`);
        return { seconds: 1 };
      },
      copySnapshotToDisk: () => Promise.resolve({ blocks: 1, bytes: 1, seconds: 1 }),
      revertGuest: () =>
        Promise.resolve({ family: 'test', kernels: [], modules: [], changed: [], warnings: [] }),
    };
  }

  private atRecoverySite() {
    const configuration = { cpus: 1, memoryMiB: 512, firmware: 'bios', nics: [], guestOs: 'debian12' };
    const found = (vm: string) => ({
      ...{ vm, instanceId: `i-${vm}`, instanceType: 'm6i.large', ...configuration, original: configuration },
      disks: [{ key: 'system', sizeBytes: 2 ** 20, slot: 0, boot: true }],
      recoveredAt: vm === this.plan.vms[0]?.name ? RECOVERED_AT : '2026-11-30T10:00:07Z',
    });
    return {
      readInstances: async () => {
        await this.note('readInstances');
        if (this.instances.size < this.plan.vms.length)
          throw ApplicationFailure.nonRetryable('There is no instance.', 'NotReadyForFailback');
        return [...this.instances.keys()].map(found);
      },
      stopInstance: async ({ vm }: { vm: string }) => {
        await this.note(`stopInstance ${vm}`);
        this.instances.set(vm, 'stopped');
      },
      startInstance: async ({ vm }: { vm: string }) => {
        await this.note(`startInstance ${vm}`);
        this.instances.set(vm, 'running');
        this.compare();
        return { privateAddress: '10.0.1.20' };
      },
      waitUntilReady: async ({ vm }: { vm: string }) => {
        await this.note(`waitUntilReady on EC2 ${vm}`);
        return { seconds: 1 };
      },
      moveDns: async () => {
        await this.note('moveDns');
        this.dns = 'recovery';
        return [];
      },
      returnDns: async () => {
        await this.note('returnDns');
        this.dns = 'home';
        return { returned: [], leftAlone: [] };
      },
      removeRecoverySite: async () => {
        await this.note('removeRecoverySite');
        this.instances.clear();
        return { removed: ['i-db'] };
      },
      snapshotInstance: () => Promise.resolve([{ diskKey: 'system', snapshotId: 'snap-1' }]),
      checkDiskFits: () => Promise.resolve(),
      checkDns: () => Promise.resolve(),
      deleteFailbackSnapshots: () => Promise.resolve({ deleted: [] }),
    };
  }

  /** Runs the workers of both sites. @param backupProxy false while the data centre is away @returns what ends them */
  async work(
    server: TestWorkflowEnvironment,
    { backupProxy = true }: { backupProxy?: boolean } = {},
  ): Promise<() => Promise<void>> {
    const connection = server.nativeConnection;
    const control: Partial<WorkerOptions> = { workflowBundle: await productBundle('quick') };
    const workers = [
      await Worker.create({
        ...{ connection, taskQueue: CONTROL_QUEUE, ...control },
        activities: createControlActivities({
          objectStore: () => this.store,
          repository: RUN.repository,
        }),
      }),
      await Worker.create({ connection, taskQueue: AWS_PROXY_QUEUE, activities: this.atRecoverySite() }),
    ];
    if (backupProxy)
      workers.push(
        await Worker.create({ connection, taskQueue: BACKUP_PROXY_QUEUE, activities: this.atHome() }),
      );
    const working = workers.map((worker) => worker.run());
    return async () => {
      for (const worker of workers) worker.shutdown();
      await Promise.all(working);
    };
  }
}
