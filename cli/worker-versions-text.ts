import { type WorkerVersion, type WorkerVersions } from '../client/worker-versions';
import { printable } from '../plan/printable';
import { tableText } from './table';

/** A table of the versions, and what a person should do about them. */
export function workerVersionsText({ deployment, current, versions, others }: WorkerVersions): string {
  const lines = versions.flatMap((version) => remarkOn(version, current));
  if (others.length > 0) lines.push(othersText(others, current));
  return (
    tableText(
      [`version of ${deployment}`, 'status', 'since', 'runs that end on it', 'workers'],
      versions.map(({ buildId, status, since, pinnedRuns, workers }) => [
        buildId,
        status,
        since ?? '',
        pinnedRuns.join('\n'),
        workers.join('\n'),
      ]),
    ) + lines.map((line) => `${printable(line)}\n`).join('')
  );
}

function remarkOn(
  { buildId, status, pinnedRuns, workers }: WorkerVersion,
  current: string | undefined,
): string[] {
  if (buildId === current)
    return workers.length > 0
      ? []
      : [
          `No worker of ${buildId}, which is current, polls: what is new waits. Start one, or promote another version.`,
        ];
  if (pinnedRuns.length > 0)
    return workers.length > 0
      ? [
          `${buildId} has to stay until ${pinnedRuns.join(', ')} ${pinnedRuns.length === 1 ? 'has' : 'have'} ended.`,
        ]
      : [
          `No worker of ${buildId} polls: ${pinnedRuns.join(', ')} ${pinnedRuns.length === 1 ? 'waits' : 'wait'} for one. Start it: lifeboat worker control.`,
        ];
  if (workers.length === 0) return [];
  if (status === 'inactive')
    return [`${buildId} was never current: lifeboat worker promote ${buildId}, when it is to be.`];
  return status === 'draining' || status === 'drained'
    ? [`${buildId} is needed no more: its workers can be stopped.`]
    : [];
}

function othersText(others: readonly string[], current: string | undefined): string {
  const names = others.join(', ');
  return current === undefined
    ? `What is new goes to workers of no version: ${names}.`
    : `Workers of no version, or of another deployment, which get nothing while ${current} is current: ${names}.`;
}

/** @param buildId undefined: workers without a deployment, as of `previous` */
export function promotedText(buildId: string | undefined, previous: string | undefined): string {
  const name = (version: string | undefined): string => printable(version ?? 'workers of no version');
  if (buildId === previous) return `${name(buildId)}: current already.\n`;
  const stays =
    previous === undefined
      ? 'What runs goes on there, too.'
      : `What moves an application ends on ${name(previous)}: lifeboat worker versions tells when its workers can be stopped.`;
  return `What is new goes to ${name(buildId)} from now on. ${stays}\n`;
}
