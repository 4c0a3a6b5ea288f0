import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type SimulatedVcenter } from '../../sandbox/vcenter/simulator';
import { describeWithVcenterAnd } from '../support/describe-with-vcenter';

/** A Python that has pyVmomi. */
const python = process.env.LIFEBOAT_PYTHON ?? '';

/** Tests that look at the simulated vCenter by pyVmomi. */
export const describeWithPyvmomi = describeWithVcenterAnd(python !== '');

/** A fault that vCenter answered with, by the name that pyVmomi has for it. */
export class VcenterFault extends Error {
  constructor(
    readonly fault: string,
    asked: string,
  ) {
    super(`vCenter answers ${asked} with ${fault}.`);
  }
}

/** A vCenter as pyVmomi sees it: VMware's own types and codec, and no code of ours or of the simulator's. */
export class PyvmomiVcenter {
  private constructor(
    private readonly child: ReturnType<typeof spawn>,
    private readonly answers: AsyncIterator<string>,
  ) {}

  static connect(vcenter: SimulatedVcenter, stderr: 'inherit' | 'ignore' = 'inherit'): PyvmomiVcenter {
    const { url, user, password, ca } = vcenter;
    const child = spawn(python, [join(__dirname, 'pyvmomi_vcenter.py')], {
      stdio: ['pipe', 'pipe', stderr],
      env: {
        PATH: process.env.PATH,
        ...{ VCENTER_URL: url, VCENTER_USER: user, VCENTER_PASSWORD: password, VCENTER_CA: ca },
      },
    });
    const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream });
    return new PyvmomiVcenter(child, lines[Symbol.asyncIterator]());
  }

  /** Has a method of the script's client called. @throws VcenterFault */
  async ask<Answer = unknown>(ask: string, args: Record<string, unknown> = {}): Promise<Answer> {
    this.child.stdin?.write(`${JSON.stringify({ ask, with: args })}\n`);
    const { value, done } = await this.answers.next();
    if (done === true) throw new Error(`pyVmomi has ended at ${ask}.`);
    const { answer, fault } = JSON.parse(value) as { answer: Answer; fault?: string };
    if (fault !== undefined) throw new VcenterFault(fault, `${ask} ${JSON.stringify(args)}`);
    return answer;
  }

  /** The fault that a call is refused with; none where it is not. */
  async faultOf(ask: string, args: Record<string, unknown> = {}): Promise<string | undefined> {
    try {
      await this.ask(ask, args);
    } catch (error) {
      if (error instanceof VcenterFault) return error.fault;
      throw error;
    }
    return undefined;
  }

  async close(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const ended = once(this.child, 'exit');
    this.child.stdin?.end();
    await ended;
  }
}
