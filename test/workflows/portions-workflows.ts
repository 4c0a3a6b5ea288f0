import { sleep } from '@temporalio/workflow';
import { type RunContext } from '../../plan/run';
import { prepareAhead } from '../../workflows/run/prepare-ahead';
import { VmAhead } from '../../workflows/run/vm-ahead';
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

/**
 * Prepares VMs so many at a time, each of which takes as many milliseconds as it has letters in its name; those whose names begin with `turn` get theirs before.
 * @returns how each was begun, in order, and the most that were being prepared at one time
 */
export async function preparedAhead(
  names: string[],
  atOnce: number,
): Promise<{ begun: string[]; most: number }> {
  const begun: string[] = [];
  const prepared = new Set<string>();
  let underWay = 0;
  let most = 0;
  const vms = new Map(
    names.map((name) => [
      name,
      new VmAhead(async (ahead) => {
        begun.push(`${name} ${ahead ? 'ahead' : 'in turn'}`);
        if (ahead) {
          most = Math.max(most, ++underWay);
          void sleep(name.length).then(() => {
            underWay--;
            prepared.add(name);
          });
        }
        return Promise.resolve({ signal: () => Promise.resolve(), result: () => Promise.resolve(name) });
      }),
    ]),
  );
  const of = (name: string) => vms.get(name)!;
  await Promise.all(names.filter((name) => name.startsWith('turn')).map((name) => of(name).goOn()));
  await of(names.at(-1) ?? '').giveUp();
  await prepareAhead({ names, of, isPrepared: (name) => prepared.has(name), atOnce });
  return { begun, most };
}
