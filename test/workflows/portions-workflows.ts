import { type RunContext } from '../../plan/run';
import { runVmChild } from '../../workflows/run/vm-child';

interface Request {
  run: RunContext;
  vms: string[];
  bytes: number;
}

/** A run whose VMs all begin at once, each with a request of so many bytes. @returns bytes that arrived, by VM */
export async function manyVms({ run, vms, bytes }: Request): Promise<number[]> {
  return Promise.all(vms.map((vm) => runVmChild(measured, run, vm, 'Measure', { text: 'x'.repeat(bytes) })));
}

export async function measured({ text }: { text: string }): Promise<number> {
  return Promise.resolve(text.length);
}
