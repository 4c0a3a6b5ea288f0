import { VmRefusedError } from '../../port';
import { describeDisks } from '../describe';
import { diskKey, type DiskDevice, disksOf } from '../devices';
import { type VmRef } from '../vm';
import { shownName } from '../names';
import { grantedPrivileges } from '../privileges';
import { type Site } from '../site';
import {
  type ManagedObject,
  type VirtualMachineConfigInfo,
  type VirtualMachineRuntimeInfo,
} from '../vim/schema';

/**
 * What cannot be backed up is refused before a snapshot is taken: found out afterwards, the VM would have run on one for nothing,
 * or the backup would lack a disk. Disks that the plan leaves out are refused for nothing.
 */

/** A snapshot grows by what the guest writes; a datastore that it fills stops all VMs that write there. */
const FREE_FLOOR_BYTES = 1024 ** 3;

/** All that stands against a VM, in one error. */
const refused = (vm: string, reasons: string[]): VmRefusedError =>
  new VmRefusedError(`VM "${vm}" cannot be backed up. ${reasons.join(' ')}`);

export interface Judged {
  config: VirtualMachineConfigInfo;
  runtime: Pick<VirtualMachineRuntimeInfo, 'connectionState' | 'question' | 'faultToleranceState'>;
  isProxy: boolean;
  excludeDisks: readonly string[];
  /** Datastores that the proxy's host sees. */
  seen: readonly { ref: ManagedObject; name: string; freeSpace: number }[];
  /** What the proxy and the account lack for encrypted disks; asked for where there are any. */
  encryptionProblems: readonly string[];
}

/** Reasons why a VM cannot be backed up, a sentence or two each. */
export function reasonsAgainst({
  config,
  runtime,
  isProxy,
  excludeDisks,
  seen,
  encryptionProblems,
}: Judged): string[] {
  const reasons: string[] = [];
  if (config.template) reasons.push('It is a template: make it a VM first.');
  if (isProxy)
    reasons.push(
      'It is the backup proxy itself, to which its own disks cannot be attached: use another proxy.',
    );
  if (runtime.connectionState !== 'connected')
    reasons.push(`Its state in vCenter is "${runtime.connectionState}": see to its host and its files.`);
  if (runtime.question !== undefined)
    reasons.push(`It waits for an answer in the client: "${runtime.question.text}"`);
  // "notConfigured" is missing from some answers.
  if (config.ftInfo !== undefined || !['notConfigured', '', undefined].includes(runtime.faultToleranceState))
    reasons.push('It is under Fault Tolerance, where snapshots cannot be read: turn that off for it.');

  const disks = disksOf(config.hardware.device);
  const included = disks.filter((disk) => !excludeDisks.includes(diskKey(disk, config.extraConfig) ?? ''));
  for (const disk of included) reasons.push(...againstDisk(disk, excludable(disk, config)));
  for (const [uuid, same] of byUuid(included))
    if (same.length > 1)
      reasons.push(
        `${same.map(({ label }) => label).join(' and ')} have one UUID (${uuid}), as copies of a disk have: give one a new one ` +
          `(vmkfstools -J setuuid, while the VM is off).`,
      );
  const boot = describeDisks(config).find(({ configuration }) => configuration.boot);
  if (boot === undefined || excludeDisks.includes(boot.configuration.key))
    reasons.push('Without the disks that the plan leaves out, it has none to boot from.');

  reasons.push(...againstDatastores(included, seen));
  if (included.some(isEncrypted) || config.keyId !== undefined) reasons.push(...encryptionProblems);
  return reasons;
}

/** @throws VmRefusedError */
export async function refuseWhatCannotBe(
  { client, inventory }: Site,
  vm: VmRef,
  reference: string,
  excludeDisks: readonly string[],
): Promise<void> {
  const { config, runtime } = await client.get(vm, 'config', 'runtime');
  if (config === undefined || runtime === undefined)
    throw refused(reference, ['vCenter does not tell its configuration now: see to its host.']);
  const proxy = await inventory.proxy();
  const encrypted = config.keyId !== undefined || disksOf(config.hardware.device).some(isEncrypted);
  const reasons = reasonsAgainst({
    config,
    runtime,
    isProxy: proxy.value === vm.value,
    excludeDisks,
    seen: await datastoresSeen(client, proxy),
    encryptionProblems: encrypted ? await encryptionProblems(client, vm, proxy) : [],
  });
  if (reasons.length > 0) throw refused(reference, reasons);
}

function againstDisk({ backing, controller, label, uuid }: DiskDevice, leaveOut: string): string[] {
  if (controller === undefined)
    return [
      `${label} is on an IDE controller, whose disks cannot be attached to the proxy: move it to SCSI or SATA${leaveOut}.`,
    ];
  if (
    backing.$type === 'VirtualDiskRawDiskMappingVer1BackingInfo' &&
    backing.compatibilityMode === 'physicalMode'
  )
    return [
      `${label} is a raw device mapping in physical mode, which snapshots leave out: make it one in virtual mode${leaveOut}.`,
    ];
  if (uuid === undefined)
    return [
      `${label} has no UUID to know it by (${backing.$type}): migrate it to a disk of today's format${leaveOut}.`,
    ];
  if (backing.diskMode?.startsWith('independent') === true)
    return [
      `${label} is independent, and snapshots leave it out: make it dependent while the VM is off${leaveOut}.`,
    ];
  if (backing.sharing === 'sharingMultiWriter')
    return [
      `${label} is written to by several VMs (multi-writer), and cannot be held at an instant: take that off it${leaveOut}.`,
    ];
  if (controller.sharedBus !== undefined && controller.sharedBus !== 'noSharing')
    return [
      `${label} is on a controller with a shared bus (${controller.sharedBus}), and cannot be held at an instant: end the sharing${leaveOut}.`,
    ];
  return [];
}

function excludable(disk: DiskDevice, config: VirtualMachineConfigInfo): string {
  const key = diskKey(disk, config.extraConfig);
  return key === undefined ? '' : `, or name "${key}" in excludeDisks`;
}

function byUuid(disks: readonly DiskDevice[]): Map<string, DiskDevice[]> {
  const found = new Map<string, DiskDevice[]>();
  for (const disk of disks)
    if (disk.uuid !== undefined) found.set(disk.uuid, [...(found.get(disk.uuid) ?? []), disk]);
  return found;
}

function againstDatastores(disks: readonly DiskDevice[], seen: Judged['seen']): string[] {
  const reasons: string[] = [];
  const full = new Set<string>();
  for (const { backing, label } of disks) {
    const name = /^\[([^\]]*)\]/.exec(backing.fileName ?? '')?.[1];
    if (name === undefined) continue;
    const ref = backing.datastore?.value;
    const datastore = seen.find((one) => (ref === undefined ? one.name === name : one.ref.value === ref));
    if (datastore === undefined)
      reasons.push(
        `${label} is on the datastore "${shownName(name)}", which the backup proxy's host does not see: mount it there, or ` +
          `move the proxy to a host that has it.`,
      );
    else if (datastore.freeSpace < FREE_FLOOR_BYTES) full.add(datastore.name);
  }
  for (const name of full)
    reasons.push(
      `The datastore "${shownName(name)}" has less than 1 GiB free, and a snapshot may fill it, which stops the VMs on it: make room.`,
    );
  return reasons;
}

function isEncrypted({ backing }: DiskDevice): boolean {
  return backing.keyId !== undefined;
}

async function datastoresSeen(client: Site['client'], proxy: VmRef): Promise<Judged['seen']> {
  const { 'runtime.host': host } = await client.get(proxy, 'runtime.host');
  const { datastore = [] } = host === undefined ? {} : await client.get(host, 'datastore');
  return Promise.all(
    datastore.map(async (ref) => {
      const { summary } = await client.get(ref, 'summary');
      return { ref, name: summary?.name ?? '', freeSpace: summary?.freeSpace ?? 0 };
    }),
  );
}

/** "Encrypted virtual machine backup", Virtual Disk Programming Guide: the proxy has to be encrypted itself. */
async function encryptionProblems(client: Site['client'], vm: VmRef, proxy: VmRef): Promise<string[]> {
  const problems: string[] = [];
  const { 'config.keyId': key } = await client.get(proxy, 'config.keyId');
  if (key === undefined)
    problems.push(
      'It is encrypted, and the backup proxy is not: encrypted disks attach to an encrypted proxy alone.',
    );
  const lacks = async (entity: VmRef, privilege: string): Promise<boolean> =>
    !(await grantedPrivileges(client, entity, [privilege])).has(privilege);
  if (await lacks(vm, 'Cryptographer.Access'))
    problems.push('It is encrypted, and the account lacks the privilege Cryptographer.Access on it.');
  if (await lacks(proxy, 'Cryptographer.AddDisk'))
    problems.push(
      'It is encrypted, and the account lacks the privilege Cryptographer.AddDisk on the backup proxy.',
    );
  return problems;
}
