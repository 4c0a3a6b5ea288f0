import { type FailedBackVm } from '../workflows/failback-vm';

/** What became of VMs that were at home, a line each; nothing where the data centre was empty. */
export function survivorsText(vms: readonly FailedBackVm[]): string {
  const survived = vms.filter((vm) => vm.survived === true);
  const asides = vms.flatMap(({ vm, aside }) =>
    aside === undefined ? [] : [`The VM that was at home as ${vm} is kept, powered off, as "${aside}".\n`],
  );
  if (survived.length === 0) return asides.join('');
  const first = survived.flatMap(({ firstCopy }) => firstCopy);
  const sum = (counts: (number | undefined)[]): number =>
    counts.reduce<number>((total, n = 0) => total + n, 0);
  const travelled = sum(
    [...first, ...survived.flatMap(({ changes }) => changes)].map(({ blocks }) => blocks),
  );
  const compared = sum(first.map(({ comparedBlocks }) => comparedBlocks));
  const data = sum(first.map(({ dataBlocks }) => dataBlocks));
  return (
    `Failback to what survived (${survived.map(({ vm }) => vm).join(', ')}): ${count(travelled)} of ${count(compared)} blocks travelled ` +
    `(${((100 * travelled) / Math.max(1, compared)).toFixed(1)} %); new disks would have needed ${count(data)}.\n` +
    asides.join('')
  );
}

/** Thousands apart: `8,192`. */
const count = (n: number): string => n.toLocaleString('en-US');
