import { type FailoverResult, type JudgedFailover, MEMORY_TARGET_MIB } from './result';

/** The result for people, and with `json` the same as one last line. */
export function failoverReport(found: FailoverResult, json: boolean): string {
  const { launchCopies, chain, volumes, times, machine } = found;
  const lines = [
    '',
    `failover: ${launchCopies.vms} VMs in ${launchCopies.tiers.length} tiers by launch copies`,
    `machine: ${machine.cpu}, ${machine.cores} cores, ${machine.memoryGiB} GiB, Linux ${machine.kernel}`,
    `versions: lifeboat ${machine.commit}, node ${machine.node}`,
    `times, in seconds: ${Object.entries(times)
      .map(([what, seconds]) => `${what} ${seconds}`)
      .join(', ')}`,
    'bound: each call of the way waits for its bucket (burst and refill) and for the tier before, states take their times, DNS follows; no less than any bucket takes for all its calls',
    '',
    ...section('by launch copies', launchCopies),
    ...section('a chain of two', chain),
    ...(volumes === null
      ? []
      : [
          ...section('by volumes', volumes),
          `  ${volumes.extrapolated.vms} VMs would take ${volumes.extrapolated.seconds.toFixed(0)} s: their bound of ` +
            `${volumes.extrapolated.boundSeconds.toFixed(0)} s, by this ratio`,
        ]),
  ];
  return `${lines.join('\n')}\n${json ? `${JSON.stringify(found)}\n` : ''}`;
}

/** One failover, for people. */
export function section(title: string, one: JudgedFailover): string[] {
  const { mutatingCallsAVm: changes, parent, processes, replay } = one;
  return [
    `${title}: ${one.vms} VMs in tiers of ${one.tiers.join(', ')}`,
    `  ${one.wallSeconds.toFixed(1)} s, bound ${one.boundSeconds.toFixed(1)} s, ratio ${one.ratio.toFixed(2)}`,
    `  slowest bucket: ${one.slowestBucket.name}, ${one.slowestBucket.seconds.toFixed(0)} s for all its calls`,
    `  calls a VM: ${one.callsAVm.toFixed(1)}, refused in all: ${one.refused}`,
    `  of them changes a boot waits for: ${counts(changes.onThePath)}; beside it: ${counts(changes.beside)}`,
    ...Object.entries(one.calls)
      .filter(([, { admitted, refused }]) => admitted + refused > 0)
      .sort(([, a], [, b]) => b.admitted - a.admitted)
      .map(([name, { admitted, refused }]) => `    ${name}: ${admitted} admitted, ${refused} refused`),
    ...Object.entries(processes).map(
      ([name, { peakMiB, beforeMiB, cpuSeconds }]) =>
        `  ${name}: ${peakMiB.toFixed(0)} MiB at most (${beforeMiB.toFixed(0)} before), ${cpuSeconds.toFixed(1)} s of CPU`,
    ),
    `  memory of these: ${one.peakMiB.toFixed(0)} MiB; of control worker and Temporal: ${one.controlAndServerMiB.toFixed(0)} MiB, ` +
      `target ${MEMORY_TARGET_MIB}: ${one.controlAndServerMiB < MEMORY_TARGET_MIB ? 'reached' : 'missed'}`,
    `  the run's history: ${parent.events} events, ${(parent.bytes / 1024).toFixed(0)} KiB, ${parent.signals} signals`,
    `  replayed by a worker that does not have it in memory: ${replay.run.toFixed(2)} s; a VM's, of ${replay.vms}: ${replay.vm.toFixed(3)} s`,
    '',
  ];
}

const counts = (calls: Record<string, number>): string =>
  Object.entries(calls)
    .map(([name, count]) => `${name} ${count.toFixed(2)}`)
    .join(', ') || 'none';
