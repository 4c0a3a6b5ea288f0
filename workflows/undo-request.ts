import { type Undone } from '../plan/run';
import { type WithEvidence } from './evidence';
import { type RunRequest } from './run/begin';
import { type ReadyVm } from './home-vms';
import { type LeftFence } from './start-fence';

export interface UndoRequest extends RunRequest {
  /** ISO 8601, UTC: since when writes are given up; exactly what the run tells that is started without it. */
  discardWritesSince?: string;
  /** Of a failback: the data centre is lost again, so nothing is stopped there first; the fence does it when it is back. */
  homeLost?: boolean;
}

export interface UndoSummary extends WithEvidence {
  plan: string;
  undone: Undone;
  /** ISO 8601, UTC: what was written since then at the site that was left is given up. */
  discardedSince: string;
  vms: ReadyVm[];
  /** Seconds in which the application did not serve: from the first stop until DNS was where it was before. */
  downtimeSeconds: number;
  /** Ids of what was removed at the recovery site. */
  removed: string[];
  /** What an operator should know, one sentence each. */
  warnings: string[];
  /** What keeps the VMs off at home from now on; absent where nothing does. */
  fence?: LeftFence;
}
