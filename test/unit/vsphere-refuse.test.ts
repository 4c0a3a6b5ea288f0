import { type Judged, reasonsAgainst } from '../../hypervisor/vsphere/backup/refuse';
import { type AnyVirtualDevice, type VirtualMachineConfigInfo } from '../../hypervisor/vsphere/vim/schema';

const uuid = (n: number): string => `6000c29a-0102-0304-0506-0708090a0b0${n}`;
const DATASTORE = { $ref: 'Datastore' as const, value: 'datastore-1' };

const disk = (unit: number, backing: Record<string, unknown> = {}, controllerKey = 1000): AnyVirtualDevice =>
  ({
    $type: 'VirtualDisk',
    key: 2000 + unit,
    controllerKey,
    unitNumber: unit,
    deviceInfo: { $type: 'Description', label: `Hard disk ${unit + 1}`, summary: '' },
    capacityInKB: 1024,
    backing: {
      $type: 'VirtualDiskFlatVer2BackingInfo',
      fileName: `[fast] web/web_${unit}.vmdk`,
      datastore: DATASTORE,
      diskMode: 'persistent',
      uuid: uuid(unit),
      ...backing,
    },
  }) as AnyVirtualDevice;
const scsi = (sharedBus = 'noSharing'): AnyVirtualDevice =>
  ({ $type: 'ParaVirtualSCSIController', key: 1000, busNumber: 0, sharedBus }) as AnyVirtualDevice;
const ide = { $type: 'VirtualIDEController', key: 200, busNumber: 0 } as AnyVirtualDevice;

const judged = (
  device: AnyVirtualDevice[],
  { config = {}, ...more }: Partial<Omit<Judged, 'config'>> & { config?: object } = {},
): Judged => ({
  config: { name: 'web', template: false, extraConfig: [], hardware: { device }, ...config } as never,
  runtime: { connectionState: 'connected', faultToleranceState: 'notConfigured' },
  isProxy: false,
  excludeDisks: [],
  seen: [{ ref: DATASTORE, name: 'fast', freeSpace: 2 ** 40 }],
  encryptionProblems: [],
  ...more,
});
const connected = judged([]).runtime;
const keyId = { keyId: 'k' };

describe('what of a VM cannot be backed up', () => {
  it('is nothing of a plain one', () => {
    expect(reasonsAgainst(judged([scsi(), disk(0), disk(1)]))).toEqual([]);
    // Some servers leave the state of fault tolerance out.
    expect(
      reasonsAgainst(
        judged([scsi(), disk(0)], { runtime: { ...connected, faultToleranceState: '' as never } }),
      ),
    ).toEqual([]);
  });

  it.each<[string, Judged]>([
    ['is a template', judged([scsi(), disk(0)], { config: { template: true } })],
    ['the backup proxy itself', judged([scsi(), disk(0)], { isProxy: true })],
    [
      '"disconnected"',
      judged([scsi(), disk(0)], { runtime: { ...connected, connectionState: 'disconnected' } }),
    ],
    [
      'msg.uuid.altered',
      judged([scsi(), disk(0)], {
        runtime: { ...connected, question: { text: 'msg.uuid.altered' } as never },
      }),
    ],
    [
      'Fault Tolerance',
      judged([scsi(), disk(0)], { runtime: { ...connected, faultToleranceState: 'running' } }),
    ],
    ['Fault Tolerance', judged([scsi(), disk(0)], { config: { ftInfo: { role: 1 } } })],
    ['"fast", which the backup proxy', judged([scsi(), disk(0)], { seen: [] })],
    [
      '"fast" has less than 1 GiB',
      judged([scsi(), disk(0)], { seen: [{ ref: DATASTORE, name: 'fast', freeSpace: 9 }] }),
    ],
    ['none to boot from', judged([scsi()])],
    ['none to boot from', judged([scsi(), disk(0), disk(1)], { excludeDisks: [uuid(0)] })],
    [
      'no key',
      judged([scsi(), disk(0)], { config: keyId, encryptionProblems: ['It is encrypted: no key.'] }),
    ],
    ['no key', judged([scsi(), disk(0, keyId)], { encryptionProblems: ['It is encrypted: no key.'] })],
  ])('is told: %s', (told, vm) => {
    const reasons = reasonsAgainst(vm);
    expect(reasons).toEqual([expect.stringContaining(told)]);
  });

  it.each<[string, AnyVirtualDevice[]]>([
    ['IDE controller', [scsi(), disk(0), ide, disk(1, {}, 200)]],
    [
      'raw device mapping in physical mode',
      [
        scsi(),
        disk(0),
        disk(1, { $type: 'VirtualDiskRawDiskMappingVer1BackingInfo', compatibilityMode: 'physicalMode' }),
      ],
    ],
    ['is independent', [scsi(), disk(0), disk(1, { diskMode: 'independent_persistent' })]],
    ['is independent', [scsi(), disk(0), disk(1, { diskMode: 'independent_nonpersistent' })]],
    ['multi-writer', [scsi(), disk(0), disk(1, { sharing: 'sharingMultiWriter' })]],
    [
      '"slow", which the backup proxy',
      [scsi(), disk(0), disk(1, { datastore: undefined, fileName: '[slow] x.vmdk' })],
    ],
  ])('is a disk, by its name and what to do: %s', (told, devices) => {
    const [reason = '', ...others] = reasonsAgainst(judged(devices));
    expect(others).toEqual([]);
    expect(reason).toContain(told);
    expect(reason).toContain('Hard disk 2');
    // Left out by the plan, it is in nobody's way.
    expect(reasonsAgainst(judged(devices, { excludeDisks: [uuid(1)] }))).toEqual([]);
  });

  it('is all disks of a controller that is shared', () => {
    const reasons = reasonsAgainst(judged([scsi('physicalSharing'), disk(0), disk(1)]));
    expect(reasons.map((reason) => reason.slice(0, 11))).toEqual(['Hard disk 1', 'Hard disk 2']);
  });

  it('is two disks with one UUID, and a disk with none', () => {
    expect(reasonsAgainst(judged([scsi(), disk(0), disk(1, { uuid: uuid(0) })]))).toEqual([
      expect.stringContaining('Hard disk 1 and Hard disk 2 have one UUID'),
    ]);
    expect(reasonsAgainst(judged([scsi(), disk(0), disk(1, { uuid: undefined })]))).toEqual([
      expect.stringContaining('Hard disk 2 has no UUID'),
    ]);
  });

  it('is told all at once', () => {
    const config: Partial<VirtualMachineConfigInfo> = { template: true };
    expect(reasonsAgainst(judged([scsi()], { config, isProxy: true, seen: [] })).length).toBe(3);
  });
});
