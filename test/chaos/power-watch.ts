import { setTimeout as sleep } from 'node:timers/promises';
import { vmIfThere } from '../../activities/backup-proxy/vm-if-there';
import { AlreadyRunningError } from '../../client/errors';
import { type E2eSandbox } from '../support/e2e-sandbox';
import { type Violation } from './invariants';
import { type Journey } from './journeys';
import { persistently } from './persistently';

/** Seconds for the fence to see a VM and to power it off, while workers die that have to do it. */
const FENCED_WITHIN_SECONDS = 120;
const LOOK_MS = 300;

/** The part of a plan's state that says what becomes of its VMs at home. */
export interface FencedState {
  phase?: string;
  fence?: { order?: string };
}

/** The power of a plan's VMs at home while its application is away: nothing gives it to them but this, and what keeps it from them. */
export class PowerWatch {
  /** How often the data centre came back. */
  returns = 0;
  /** What has power that nobody may take. */
  private readonly leftOn = new Set<string>();

  constructor(
    private readonly sandbox: E2eSandbox,
    private readonly journey: Journey,
    private readonly state: () => Promise<FencedState>,
    private readonly log: (line: string) => void,
  ) {}

  /** A VM of no plan, which comes back with the plan's. */
  get bystander(): string | undefined {
    return this.journey.steps.some(({ step }) => step === 'power returns')
      ? `${this.journey.plan}-other`
      : undefined;
  }

  async makeBystander(): Promise<void> {
    if (this.bystander === undefined) return;
    await this.sandbox.site.hypervisor.createVm(this.bystander, {
      ...{ cpus: 1, memoryMiB: 32, firmware: 'bios', guestOs: 'debian12-64' },
      nics: [{ network: 'dc', mac: '00:50:56:00:30:02' }],
    });
  }

  /** Starts some of the plan's VMs at home, as a data centre that comes back does. @returns once the fence has done what it must */
  async powerReturns(vms: readonly string[]): Promise<Violation[]> {
    this.returns++;
    const { plan, unfenced } = this.journey;
    const began = Date.now();
    for (const name of [...vms, this.bystander ?? ''])
      await persistently(() => this.sandbox.site.hypervisor.powerOn(name));
    if (this.bystander !== undefined) this.leftOn.add(this.bystander);
    if (unfenced === true) for (const name of vms) this.leftOn.add(name);
    const found = await this.violations(true);
    const seconds = ((Date.now() - began) / 1000).toFixed(1);
    this.log(
      `${plan}: power is back at home: ${vms.join(', ')}; ` +
        (unfenced === true ? 'no fence is wanted' : `${seconds} s until they are off, or given up`),
    );
    return found;
  }

  /** Waits until a plan that is away has no VM at home that runs. What may run has to. */
  async violations(away: boolean): Promise<Violation[]> {
    const { plan, vms, unfenced } = this.journey;
    const violations: Violation[] = [];
    if (away && unfenced !== true) {
      const { phase, fence } = await persistently(this.state);
      if (phase !== 'failed-over' || fence?.order !== 'open')
        violations.push({
          kind: 'unfenced',
          what: `${plan} is ${phase ?? 'nowhere'}, and the order to fence it ${fence?.order ?? 'was not given'}`,
        });
      const running = await this.stillRunning(vms.map(({ name }) => name));
      if (running.length > 0)
        violations.push({
          kind: 'unfenced',
          what: `${running.join(', ')} ran at home for ${FENCED_WITHIN_SECONDS} s beside instances on EC2`,
        });
    }
    for (const name of this.leftOn)
      if (!(await this.runs(name)))
        violations.push({
          kind: 'lost',
          what: `${name} was on at home, is not, and nobody was told to stop it`,
        });
    return violations;
  }

  /** What an administrator does before a failback, where the plan leaves VMs at home alone. */
  async stopForFailback(): Promise<void> {
    for (const { name } of this.journey.vms)
      if (this.leftOn.delete(name)) await persistently(() => this.sandbox.site.hypervisor.powerOff(name));
  }

  /** The plan's VMs are gone. */
  lost(): void {
    for (const { name } of this.journey.vms) this.leftOn.delete(name);
  }

  /**
   * A failover that was cut off right behind its point of no return leaves the order, and may leave nobody who carries it out.
   * `lifeboat fence` says so, and an administrator does what it says.
   */
  async startAgain(digest: string): Promise<void> {
    const { plan, unfenced } = this.journey;
    if (unfenced === true) return;
    const { client } = this.sandbox;
    await persistently(async () => {
      if ((await client.attach('fence', { plan })) !== undefined) return;
      this.log(`${plan}: nobody carries the fence's order out; it is given again`);
      await client.start('fence', { plan, digest }).catch((error: unknown) => {
        if (!(error instanceof AlreadyRunningError)) throw error;
      });
    });
  }

  /** Those that run at the end of the time. */
  private async stillRunning(vms: readonly string[]): Promise<string[]> {
    const deadline = Date.now() + FENCED_WITHIN_SECONDS * 1000;
    for (;;) {
      const running: string[] = [];
      for (const name of vms) if (await this.runs(name)) running.push(name);
      if (running.length === 0 || Date.now() > deadline) return running;
      await sleep(LOOK_MS);
    }
  }

  private async runs(name: string): Promise<boolean> {
    const found = await persistently(() => vmIfThere(this.sandbox.site.hypervisor, name));
    return found?.power === 'running';
  }
}
