import { type ActivityInterceptorsFactory } from '@temporalio/worker';
import { type Exporter } from './exporter';

/** The activities that copy blocks, or read them back, with what that is called. */
const COPIES: ReadonlyMap<string, string> = new Map([
  ['backupDisk', 'backup'],
  ['copyExtent', 'restore'],
  ['copyToVolume', 'restore'],
  ['verifyDisk', 'verification'],
  ['copySnapshotToDisk', 'failback'],
]);

interface CopyInput {
  run: { plan: string };
  vm: string;
}

interface Copied {
  blocks: number;
  bytes: number;
}

/**
 * Counts what block copies came to, when they are done: what a copy that died had done is in the sum of the one that went on, so
 * that nothing is counted twice.
 */
export function countsCopies(exporter: Pick<Exporter, 'count'>): ActivityInterceptorsFactory {
  return ({ info }) => {
    const copy = COPIES.get(info.activityType);
    if (copy === undefined) return {};
    return {
      inbound: {
        async execute(input, next) {
          const result: unknown = await next(input);
          const { run, vm } = input.args[0] as CopyInput;
          const { blocks, bytes } = result as Copied;
          const labels = { plan: run.plan, vm, copy };
          exporter.count('lifeboat_copied_blocks_total', labels, blocks);
          exporter.count('lifeboat_copied_bytes_total', labels, bytes);
          return result;
        },
      },
    };
  };
}
