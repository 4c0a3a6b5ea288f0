import { setCurrentDetails, setHandler, upsertSearchAttributes } from '@temporalio/workflow';
import {
  phaseAttribute,
  planAttribute,
  type RunStatus,
  statusQuery,
  vmPhaseSignal,
  type VmStatus,
} from './messages';

/** A table cell cannot hold a pipe or a line break. */
const cell = (text: string): string => text.replace(/\|/g, '\\|').replace(/\s+/g, ' ');

function markdown({ phase, vms }: RunStatus): string {
  const rows = vms.map(
    (vm) => `| ${[vm.vm, vm.phase, vm.detail, vm.since.slice(11, 19)].map(cell).join(' | ')} |`,
  );
  return [`**${phase}**`, '', '| VM | phase | detail | since (UTC) |', '|---|---|---|---|', ...rows].join(
    '\n',
  );
}

/**
 * Keeps what a run is doing where people look: the Web UI's current details, the search attributes, and the
 * `status` query. VMs report through the `vmPhase` signal.
 */
export class RunProgress {
  private readonly status: RunStatus;

  constructor(plan: string, vms: string[]) {
    const since = new Date().toISOString();
    this.status = { phase: 'starting', vms: vms.map((vm) => ({ vm, phase: 'waiting', detail: '', since })) };
    setHandler(statusQuery, () => this.status);
    setHandler(vmPhaseSignal, (report) => this.vm(report.vm, report.phase, report.detail));
    upsertSearchAttributes([{ key: planAttribute, value: plan }]);
    this.phase('starting');
  }

  /** The run as a whole entered a phase. */
  phase(phase: string): void {
    this.status.phase = phase;
    upsertSearchAttributes([{ key: phaseAttribute, value: phase }]);
    setCurrentDetails(markdown(this.status));
  }

  /** A VM entered a phase. */
  vm(vm: string, phase: string, detail = ''): void {
    const row = this.status.vms.find((known) => known.vm === vm);
    if (!row) return;
    Object.assign(row, { phase, detail, since: new Date().toISOString() } satisfies Omit<VmStatus, 'vm'>);
    setCurrentDetails(markdown(this.status));
  }

  /** Phase that the VM is in. */
  phaseOf(vm: string): string | undefined {
    return this.status.vms.find((known) => known.vm === vm)?.phase;
  }
}
