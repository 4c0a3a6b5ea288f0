import { isCancellation, patched } from '@temporalio/workflow';
import { type AwaitedBootScripts, type BootScriptResult } from '../activities/aws-proxy/launch/contract';
import { type RunContext } from '../plan/run';
import { BOOT_SCRIPT_TIMEOUT_SECONDS } from '../plan/boot-script-timeout';
import { type DrPlan, type PlannedVm } from '../plan/schema';
import { awsProxy } from './run/activities';
import { causeMessage } from './run/failure-message';

/** VMs whose consoles one activity reads: it holds 64 KiB of each, and a plan of a thousand VMs takes ten. */
const CONSOLES_AT_ONCE = 100;

/** Of a VM that is up, what its boot scripts are read by. */
interface UpVm {
  instanceId: string;
  readyAt: string;
  bootScripts?: BootScriptResult[];
}

type WithScript = PlannedVm & { bootScript: NonNullable<PlannedVm['bootScript']> };
const withScript = (vm: PlannedVm): vm is WithScript => vm.bootScript !== undefined;

/** What a VM's boot script has to do with the VM being up. @throws ActivityFailure of BootScriptFailed */
export async function requireBootScript(
  run: RunContext,
  { name: vm, bootScript }: WithScript,
  instanceId: string,
): Promise<BootScriptResult[]> {
  const { name, timeout: seconds = BOOT_SCRIPT_TIMEOUT_SECONDS } = bootScript;
  return awsProxy.requireBootScripts({ run, vm, instanceId, scripts: [name], seconds });
}

/** Whether the VM counts as up only when its boot script has ended with 0. */
export const requiresBootScript = (vm: PlannedVm): vm is WithScript =>
  withScript(vm) && vm.bootScript.required === true;

/**
 * Adds how the boot scripts of VMs that run have ended; nothing is asked where the plan has none. Nobody waits for these
 * scripts, so this comes after all that the application's service needs.
 */
export async function addBootScripts<Vm extends UpVm>(
  run: RunContext,
  plan: DrPlan,
  recovered: ReadonlyMap<string, Vm>,
  begin: () => void,
): Promise<Map<string, Vm>> {
  const awaited = plan.vms.filter(withScript).flatMap((vm): AwaitedBootScripts[] => {
    const up = recovered.get(vm.name);
    return up === undefined || up.bootScripts !== undefined ? [] : [awaitedOf(vm, up)];
  });
  // Runs of earlier releases end without.
  if (awaited.length === 0 || !patched('boot scripts read')) return new Map(recovered);
  begin();
  const portions: AwaitedBootScripts[][] = [];
  for (let at = 0; at < awaited.length; at += CONSOLES_AT_ONCE)
    portions.push(awaited.slice(at, at + CONSOLES_AT_ONCE));
  const read = await Promise.all(portions.map((vms) => readPortion(run, vms)));
  const results = new Map(read.flat().map(({ vm, bootScripts }) => [vm, bootScripts]));
  return new Map(
    [...recovered].map(([name, vm]) => {
      const bootScripts = results.get(name);
      return [name, bootScripts === undefined ? vm : { ...vm, bootScripts }];
    }),
  );
}

/** A script has had since its VM was ready what has passed until now. */
function awaitedOf({ name: vm, bootScript }: WithScript, up: UpVm): AwaitedBootScripts {
  const { name, timeout = BOOT_SCRIPT_TIMEOUT_SECONDS } = bootScript;
  const passed = (Date.now() - Date.parse(up.readyAt)) / 1000;
  return { vm, instanceId: up.instanceId, scripts: [name], seconds: Math.max(0, timeout - passed) };
}

/** The VMs run: that their consoles could not be read is told, and fails nothing. */
async function readPortion(
  run: RunContext,
  vms: AwaitedBootScripts[],
): Promise<{ vm: string; bootScripts: BootScriptResult[] }[]> {
  try {
    return await awsProxy.readBootScripts({ run, vms });
  } catch (error) {
    if (isCancellation(error)) throw error;
    const reason = causeMessage(error);
    return vms.map(({ vm, scripts }) => ({
      vm,
      bootScripts: scripts.map((name) => ({ name, status: 'unknown', reason })),
    }));
  }
}
