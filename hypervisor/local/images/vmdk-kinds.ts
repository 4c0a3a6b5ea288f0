import { CONVERT } from './image-error';
import { type Descriptor, DescriptorError, type Extent, parentOf, unreadable } from './vmdk-descriptor';

/** Kinds of VMDK that are not read here, each with its reason and what to do. */

export const CONSOLIDATE =
  'Consolidate the VM (in vSphere by "Delete all snapshots" and "Consolidate", in Workstation by deleting its snapshots), copy its disk again, and name the whole disk in vm.json';

const MAPPED = {
  reason: 'it stands for a LUN of the storage (a raw device mapping), and the bytes are on that',
  advice:
    "Convert the mapping into a virtual disk (in vSphere by migrating or cloning the VM's disk to VMDK)",
};
const PHYSICAL = {
  reason: 'it stands for a physical disk of the host that its VM ran on',
  advice: 'Make an image of the physical disk (on that host, by "qemu-img convert") and name that in vm.json',
};
const SESPARSE = {
  reason: 'it is a space-efficient sparse disk (seSparse), which is not read here',
  advice: CONVERT,
};
const VMFS_SPARSE = {
  reason: 'it is a sparse disk of the ESXi kind for snapshots (vmfsSparse), which is not read here',
  advice: CONVERT,
};

/** By createType in lower case; all others are told by their extents. */
const BY_KIND: Record<string, { reason: string; advice: string }> = {
  vmfsrawdevicemap: MAPPED,
  vmfspassthroughrawdevicemap: MAPPED,
  vmfsrdm: MAPPED,
  vmfsrdmp: MAPPED,
  vmfsraw: PHYSICAL,
  fulldevice: PHYSICAL,
  partitioneddevice: PHYSICAL,
  sesparse: SESPARSE,
  vmfssparse: VMFS_SPARSE,
};

/** By the type of an extent. */
const BY_EXTENT: Record<string, { reason: string; advice: string }> = {
  VMFSRDM: MAPPED,
  VMFSRAW: PHYSICAL,
  SESPARSE,
  VMFSSPARSE: VMFS_SPARSE,
  VSANSPARSE: { reason: 'it is a delta on vSAN, which is not read here', advice: CONVERT },
};

/**
 * @param embedded the descriptor is in the file that has the data
 * @throws DescriptorError where the disk is none that can be read, whatever files there are
 */
export function checkKind(descriptor: Descriptor, embedded: boolean): void {
  const { values, extents } = descriptor;
  const kind = values.get('createtype');
  const refuse = ({ reason, advice }: { reason: string; advice: string }): never => {
    throw new DescriptorError(reason, advice);
  };
  const parentCid = values.get('parentcid');
  if (parentCid !== undefined && !/^[0-9a-f]{1,8}$/i.test(parentCid)) {
    const line = descriptor.lineOf('parentcid');
    if (line) throw unreadable(line, 'has no number of eight hexadecimal digits');
  }
  const parent = parentOf(values);
  if (parent) {
    const of = parent.names[0] === undefined ? '' : `, "${parent.names[0]}"`;
    refuse({
      reason: `it is only the delta of an open snapshot${kind === undefined ? '' : ` (${kind})`}, and builds on another image (a parent${of})`,
      advice: CONSOLIDATE,
    });
  }
  // What vSphere writes for a disk of an encrypted VM; the extent has nothing but cipher text.
  if (
    ['encryptionkeys', 'keyid', 'keysafe', 'encryption.keysafe'].some((key) => values.has(key)) ||
    /crypt/i.test(values.get('ddb.iofilters') ?? '')
  )
    refuse({
      reason: 'it is encrypted by VMware, and its bytes mean nothing without the key',
      advice: "Decrypt the VM's disks (in vSphere by another storage policy) and copy them again",
    });
  const named = kind?.toLowerCase();
  if (named !== undefined && Object.hasOwn(BY_KIND, named)) refuse(BY_KIND[named] as typeof MAPPED);
  if (embedded) return;
  if (extents.length === 0)
    refuse({
      reason: `its descriptor (${kind ?? 'of no kind'}) names no extent, so that there are no bytes`,
      advice: 'Copy the descriptor again from where the VM comes from',
    });
  for (const extent of extents) checkExtentKind(extent);
}

function checkExtentKind({ access, type, names, line }: Extent): void {
  if (Object.hasOwn(BY_EXTENT, type)) {
    const { reason, advice } = BY_EXTENT[type] as typeof MAPPED;
    throw new DescriptorError(reason, advice);
  }
  if (access === 'NOACCESS')
    throw unreadable(line, 'is a part of the disk that nobody may read (NOACCESS)', CONVERT);
  if (type === 'ZERO') return;
  if (!['FLAT', 'VMFS', 'SPARSE'].includes(type))
    throw unreadable(line, `is an extent of type ${type}, which is not read here`, CONVERT);
  const name = names[0];
  if (name === undefined) throw unreadable(line, 'names no file');
  const place = /^(vvol|vsan):/i.exec(name)?.[1]?.toLowerCase();
  if (place !== undefined)
    throw unreadable(
      line,
      `names an object of ${place === 'vsan' ? 'vSAN' : 'a virtual volume'}, which is no file`,
      'Move or export the disk to a VMFS or NFS datastore, and copy it from there',
    );
  if (/^\\\\[.?]\\|^\/dev\//.test(name)) throw new DescriptorError(PHYSICAL.reason, PHYSICAL.advice);
}
