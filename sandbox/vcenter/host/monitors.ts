import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { qmpSocketOf } from '../../../machines/machine';
import { type QmpClient, withQmp } from '../../../machines/qmp';

/** Where machines and their monitors are. */
export class Monitors {
  constructor(
    private readonly machines: string,
    readonly runDirectory: string,
  ) {}

  /** Of a machine's QEMU: its pid, its console. */
  directory(vm: string): string {
    return join(this.machines, vm);
  }

  nbdSocket(vm: string): string {
    return join(this.runDirectory, `${createHash('sha256').update(vm).digest('hex').slice(0, 12)}.nbd`);
  }

  async run<Result>(vm: string, work: (qmp: QmpClient) => Promise<Result>): Promise<Result> {
    return withQmp(await qmpSocketOf(this.directory(vm)), work);
  }
}
