import { readIfExists } from '../../../host/if-exists';
import { normalUuid } from '../devices';
import { type VsphereSettings } from '../settings';
import { type VimClient } from '../vim/client';
import { type VmRef } from '../vm';

/** The backup proxy: the VM that this host is, to which other VMs' disks are attached. */

/** What the firmware of this host says of it; only root may read either. */
const SERIAL_FILE = '/sys/class/dmi/id/product_serial';
const UUID_FILE = '/sys/class/dmi/id/product_uuid';

/** This host is no VM of the vCenter that is set, as far as can be told. */
export class ProxyNotFoundError extends Error {
  constructor(why: string) {
    super(
      `${why} The backup proxy must run in a VM of this vCenter: set proxy to that VM's BIOS UUID (uuid.bios in its .vmx), and see ` +
        `that the account may see the VM.`,
    );
    this.name = 'ProxyNotFoundError';
  }
}

/** @throws ProxyNotFoundError */
export async function findProxy(client: VimClient, settings: VsphereSettings): Promise<VmRef> {
  const { searchIndex } = await client.content();
  const uuids =
    settings.proxy === undefined
      ? biosUuids(await readIfExists(SERIAL_FILE), await readIfExists(UUID_FILE))
      : [settings.proxy.toLowerCase()];
  if (uuids.length === 0)
    throw new ProxyNotFoundError('The firmware of this host is not that of a VMware VM.');
  for (const uuid of uuids) {
    // A clone made outside of vCenter may have its original's UUID.
    const found = searchIndex
      ? await client.call('FindAllByUuid', searchIndex, { uuid, vmSearch: true, instanceUuid: false })
      : [];
    if (found.length > 1)
      throw new ProxyNotFoundError(
        `${found.length} VMs have the BIOS UUID ${uuid} (${found.map(({ value }) => value).join(', ')}); give the others new ones.`,
      );
    if (found[0]?.$ref === 'VirtualMachine') return found[0] as VmRef;
  }
  throw new ProxyNotFoundError(`No VM has the BIOS UUID ${uuids.join(' or ')}.`);
}

/**
 * BIOS UUIDs that this host may have to vCenter, the likeliest first. The serial number is the UUID as vSphere writes it, and the
 * firmware's own UUID is the same with its first three parts in the other order of bytes from hardware version 13 on.
 */
export function biosUuids(serial: string | undefined, uuid: string | undefined): string[] {
  const fromSerial = /^VMware-/i.test(serial ?? '')
    ? normalUuid(serial?.trim().slice('VMware-'.length))
    : undefined;
  if (fromSerial !== undefined) return [fromSerial];
  const plain = normalUuid(uuid?.trim());
  return plain === undefined ? [] : [plain, swapped(plain)];
}

function swapped(uuid: string): string {
  const parts = uuid.split('-');
  const turned = parts.slice(0, 3).map((part) => part.match(/../g)?.reverse().join('') ?? part);
  return [...turned, ...parts.slice(3)].join('-');
}
