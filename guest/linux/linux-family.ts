import { type OpenableGuest, type OperatingSystemFamily, type RecordedState } from '../family';
import { type GuestFiles } from '../files/port';
import { withGuest } from '../files/open-guest';
import { GuestNotAdaptableError, type AdaptationReport, type RecoverySiteAdaptation } from '../port';
import { applyChanges } from './changes/apply';
import {
  BOOT_DIRECTORY,
  bootEnvironment,
  bootUnit,
  checkBootScripts,
  environmentPath,
  RUNNER,
  RUNNER_SCRIPT,
  UNIT,
  UNIT_LINK,
} from './stay/boot-scripts';
import { cleanNewEntries, planCommandLines } from './boot/command-line';
import { readBootState } from './boot/kernels';
import { ChangePlan } from './changes/change-plan';
import { forgetLostHardware } from './disks/lost-hardware';
import { planDiskNames } from './disks/disk-names';
import { checkHosts } from './stay/hosts';
import { addPrimaryDrivers } from './initramfs/primary-drivers';
import { planInitramfs } from './initramfs/recovery-drivers';
import { hasManifest, readManifest } from './changes/manifest';
import { type OsRelease } from './release';
import { LAUNCH_UNIT_NAME, planLaunch } from './stay/launch';
import { planStay } from './stay/stay';
import { undoChanges } from './changes/undo';

/** Linux with systemd. What makes its initramfs, which decides how drivers get into it, each image tells by itself. */
export function linuxFamily({ id, prettyName }: OsRelease): OperatingSystemFamily {
  return {
    name: prettyName,
    efi: { kind: 'linux', id },
    recordedState,
    adapt: (guest, adaptation) => adapt(prettyName, guest, adaptation),
    revert: (guest) => revert(prettyName, guest),
  };
}

async function recordedState(files: GuestFiles): Promise<RecordedState> {
  if (!(await hasManifest(files))) return 'never adapted';
  // Undefined where its first record was cut off.
  return (await readManifest(files))?.state === 'applied' ? 'adapted' : 'cut off';
}

async function adapt(
  prettyName: string,
  guest: OpenableGuest,
  adaptation: RecoverySiteAdaptation,
): Promise<AdaptationReport> {
  checkBootScripts(adaptation.bootScripts, adaptation.runId);
  const hosts = checkHosts(adaptation.hosts);
  const before = await withGuest(guest.openReadOnly, readManifest);
  const undone = before === undefined ? undefined : await undoChanges(guest.open, before);

  const found = await withGuest(guest.openReadOnly, async (files) => {
    await expectSystemd(files);
    const plan = new ChangePlan(files);
    const boot = await readBootState(files);
    await planCommandLines(files, plan, guest.names, boot);
    await planDiskNames(files, plan, guest.names);
    await planStay(files, plan, hosts);
    await planBootScripts(plan, adaptation, hosts);
    if (adaptation.launchCopy === true) await planLaunch(files, plan, adaptation.runId);
    // Last, as an initramfs has copies of some of those files.
    const initramfs = await planInitramfs(files, plan, guest.names, boot);
    return { ...initramfs, changes: plan.changes, warnings: plan.warnings };
  });
  const family = `${prettyName} (${found.maker})`;
  await applyChanges(guest.open, found.changes, { family, runId: adaptation.runId });
  return {
    family,
    kernels: found.kernels,
    modules: found.modules,
    changed: found.changes.filter((change) => change.kind !== 'directory').map((change) => change.path),
    warnings: [...(undone?.warnings ?? []), ...found.warnings],
  };
}

async function revert(prettyName: string, guest: OpenableGuest): Promise<AdaptationReport> {
  const manifest = await withGuest(guest.openReadOnly, readManifest);
  if (manifest === undefined)
    return { family: prettyName, kernels: [], modules: [], changed: [], warnings: [] };
  const home: AdaptationReport = {
    family: manifest.family,
    kernels: [],
    modules: [],
    changed: [],
    warnings: [],
  };
  const { changed, warnings } = await undoChanges(guest.open, manifest, async (files, restored) => {
    const cleaned = await cleanNewEntries(files, restored);
    const boot = await readBootState(files);
    const replaced = manifest.changes.flatMap((one) => (one.kind === 'replaced' ? [one.path] : []));
    const forgotten = await forgetLostHardware(files, guest.names, replaced);
    const changed = forgotten.changed.map(({ path }) => path);
    const lost = changed.length > 0 ? { names: guest.names, texts: forgotten.changed } : undefined;
    const { kernels, modules, ...added } = await addPrimaryDrivers(files, boot, { restored, lost });
    Object.assign(home, { kernels, modules });
    home.changed.push(...cleaned, ...changed, ...added.changed);
    home.warnings.push(...forgotten.warnings, ...added.warnings);
  });
  return {
    ...home,
    changed: [...new Set([...changed, ...home.changed])],
    warnings: [...warnings, ...home.warnings],
  };
}

async function expectSystemd(files: GuestFiles): Promise<void> {
  if (!/\/systemd$/.test((await files.realpath('/sbin/init')) ?? '')) {
    throw new GuestNotAdaptableError(
      'The guest does not start with systemd (/sbin/init); other ways to start are not supported yet.',
    );
  }
}

async function planBootScripts(
  plan: ChangePlan,
  adaptation: RecoverySiteAdaptation,
  hosts: RecoverySiteAdaptation['hosts'],
): Promise<void> {
  const { runId, bootScripts, launchCopy } = adaptation;
  const directory = `${BOOT_DIRECTORY}/${runId}`;
  await plan.add(environmentPath(runId), bootEnvironment(runId, hosts), 0o644);
  for (const [index, script] of bootScripts.entries()) {
    await plan.add(
      `${directory}/scripts/${String(index).padStart(2, '0')}-${script.name}`,
      script.content,
      0o700,
    );
  }
  await plan.add(RUNNER, RUNNER_SCRIPT, 0o755);
  await plan.add(UNIT, bootUnit(runId, launchCopy === true ? LAUNCH_UNIT_NAME : undefined), 0o644);
  await plan.link(UNIT_LINK, '../lifeboat-boot.service');
}
