import { type DiskConfiguration, type NicConfiguration, type VmConfiguration } from '../port';
import { bootOrderOf, type Controller, diskKey, type DiskDevice, disksOf } from './devices';
import { markedGuestOs } from './marks';
import { shownName } from './names';
import { type VimClient } from './vim/client';
import {
  type AnyVirtualDevice,
  type AnyVirtualEthernetCard,
  type VirtualMachineConfigInfo,
} from './vim/schema';

/** A disk that can be backed up, by its place, with its key. */
export interface DescribedDisk {
  disk: DiskDevice & { uuid: string; controller: Controller };
  configuration: DiskConfiguration;
}

/** Names of networks by what devices refer to them with. */
export type NetworkNames = ReadonlyMap<string, string>;

/**
 * The VM's hardware as the port has it. Disks that the port cannot place (IDE, or of a kind without UUID) are not in it: a backup
 * refuses them, where the plan does not leave them out.
 */
export function describeConfiguration(
  config: VirtualMachineConfigInfo,
  networks: NetworkNames,
): VmConfiguration {
  const described = describeDisks(config);
  const [boot] = described.filter(({ configuration }) => configuration.boot);
  const kind = boot?.disk.controller.kind;
  return {
    cpus: config.hardware.numCPU,
    memoryMiB: config.hardware.memoryMB,
    firmware: config.firmware === 'efi' ? 'uefi' : 'bios',
    nics: config.hardware.device.flatMap((device) => nic(device, networks)),
    guestOs: markedGuestOs(config.extraConfig) ?? config.guestId,
    displayName: shownName(config.name),
    ...(config.instanceUuid === undefined ? {} : { identity: config.instanceUuid.toLowerCase() }),
    ...(kind === undefined || kind === 'pvscsi' ? {} : { diskController: kind }),
    disks: described.map(({ configuration }) => configuration),
  };
}

/** The disks that the port can place, in order. */
export function describeDisks({
  hardware,
  extraConfig,
  bootOptions,
}: VirtualMachineConfigInfo): DescribedDisk[] {
  const placed = disksOf(hardware.device).flatMap((disk) => {
    const key = diskKey(disk, extraConfig);
    const { uuid, controller } = disk;
    return key === undefined || uuid === undefined || controller === undefined
      ? []
      : [{ key, disk: { ...disk, uuid, controller } }];
  });
  const boot =
    bootOrderOf(bootOptions)
      .map((key) => placed.find(({ disk }) => disk.device.key === key))
      .find((found) => found) ?? placed[0];
  const kind = boot?.disk.controller.kind;
  return placed.map((one) => {
    const { kind: ownKind, bus } = one.disk.controller;
    return {
      disk: one.disk,
      configuration: {
        key: one.key,
        sizeBytes: one.disk.sizeBytes,
        slot: one.disk.unit,
        ...(ownKind === kind && bus === 0 ? {} : { controller: { kind: ownKind, bus } }),
        boot: one === boot,
      },
    };
  });
}

function nic(device: AnyVirtualDevice, networks: NetworkNames): NicConfiguration[] {
  if (!('macAddress' in device)) return [];
  const { backing, macAddress = '' } = device as AnyVirtualEthernetCard;
  let network: string | undefined;
  if (backing !== undefined)
    if ('port' in backing)
      network = networks.get(backing.port.portgroupKey ?? '') ?? backing.port.portgroupKey;
    else if ('opaqueNetworkId' in backing)
      network = networks.get(backing.opaqueNetworkId) ?? backing.opaqueNetworkId;
    else if ('deviceName' in backing) network = backing.deviceName;
  return [{ network: shownName(network ?? ''), mac: macAddress.toLowerCase() }];
}

/** Asks for the names of networks that cards refer to by a key; nothing where all cards name theirs. */
export async function networkNames(
  client: VimClient,
  devices: readonly AnyVirtualDevice[],
): Promise<NetworkNames> {
  const backings = devices.flatMap(({ backing }) => (backing === undefined ? [] : [backing]));
  const names = new Map<string, string>();
  if (backings.some((backing) => 'port' in backing))
    for (const { key, name } of await client.list('DistributedVirtualPortgroup', ['key', 'name']))
      if (key !== undefined && name !== undefined) names.set(key, name);
  if (backings.some((backing) => 'opaqueNetworkId' in backing))
    for (const { summary, name } of await client.list('OpaqueNetwork', ['summary', 'name']))
      if (name !== undefined && summary !== undefined && 'opaqueNetworkId' in summary)
        names.set(String(summary.opaqueNetworkId), name);
  return names;
}
