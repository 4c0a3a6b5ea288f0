/**
 * The id of a run's backups, such as 20261123T181500Z-0123abcd: ids sort by time, and those of two runs in the same
 * second differ. Free of I/O, so that workflows can call it.
 * @param startedAt when the run began
 * @param runId Temporal's run id, a UUID; its last digits are random in every version of UUIDs
 */
export function backupIdOf(startedAt: Date, runId: string): string {
  const digits = runId.toLowerCase().replaceAll('-', '').slice(-8);
  if (!/^[0-9a-f]{8}$/.test(digits))
    throw new Error(`"${runId}" is no run id: it does not end with 8 hex digits.`);
  const time = startedAt
    .toISOString()
    .replace(/[-:]/g, '')
    .replace(/\.\d+Z$/, 'Z');
  return `${time}-${digits}`;
}
