import { type Role } from '../../workers/roles';

/** A worker of a sandbox: its name, and which of its role it is, from 0 on. */
export interface WorkerInstance {
  name: string;
  role: Role;
  number: number;
}

/** With a cluster there are several of each role, so that each has others beside it that go on. */
const COUNTS: readonly [Role, number][] = [
  ['control', 2],
  ['aws-proxy', 3],
  ['backup-proxy', 2],
];

/** The workers of a sandbox: of each role one, or several with a cluster. */
export function workersOf({ cluster }: { cluster?: boolean | undefined }): WorkerInstance[] {
  return COUNTS.flatMap(([role, count]) =>
    cluster === true
      ? Array.from({ length: count }, (_, number) => ({ name: `worker-${role}-${number + 1}`, role, number }))
      : [{ name: `worker-${role}`, role, number: 0 }],
  );
}
