import { GuestNotAdaptableError } from '../port';
import { HiveError } from './hive/base-block';
import { sameValue } from './hive/compare';
import { type RegistryEdit } from './hive/edit';
import { type HiveReader, type RegistryValue } from './hive/reader';
import {
  MAX_BOOT_DRIVERS,
  MAX_DATA_BYTES,
  MAX_OVERRIDES,
  PLAIN_NAME,
  type RegistryRecord,
  type StoredValue,
} from './registry-record';

const REG_DWORD = 4;
/** `Start` of a driver that the boot loader loads, and of a service that starts by itself. */
const AT_BOOT = 0;
const AUTOMATIC = 2;
/** `Type` of a driver in the kernel. */
const KERNEL_DRIVER = 1;
/** VDS_SAN_POLICY OnlineAll: Windows Server takes disks on a bus that is new to it offline otherwise. */
const ONLINE_ALL = 1;

/** Microsoft's NVMe driver, part of Windows since 8.1, and AWS's. */
const NVME_DRIVERS = ['stornvme', 'AWSNVMe'] as const;

export interface RegistryPlan {
  edits: RegistryEdit[];
  record: RegistryRecord;
  /** Drivers that were there and will start at boot. */
  drivers: string[];
}

/**
 * What SYSTEM needs for an instance, in each control set that Windows may start with. Found by reading only.
 * @throws GuestNotAdaptableError where Windows has no NVMe driver of its own
 */
export function planForRecoverySite(system: HiveReader): RegistryPlan {
  const record: RegistryRecord = { values: [], removedKeys: [], bootDrivers: [] };
  const edits: RegistryEdit[] = [];
  const drivers = new Set<string>();
  const set = (key: string, name: string, number: number): void => {
    const found = system.value(key, name);
    const data = Buffer.alloc(4);
    data.writeUInt32LE(number);
    if (sameValue(found, { type: REG_DWORD, data })) return;
    const original = found === undefined ? null : stored(found);
    record.values.push({ key, name, ours: { type: REG_DWORD, data: data.toString('hex') }, original });
    edits.push({ kind: 'set', key, value: { name, type: REG_DWORD, data } });
  };
  for (const [index, controlSet] of controlSets(system).entries()) {
    const services = `${controlSet}\\Services`;
    if (system.key(`${services}\\stornvme`) === undefined) {
      if (index === 0) throw noNvmeDriver();
      continue; // the last known good one, from before an upgrade
    }
    record.bootDrivers.push({ controlSet, services: bootDrivers(system, services) });
    for (const driver of NVME_DRIVERS) {
      if (system.key(`${services}\\${driver}`) === undefined) continue;
      drivers.add(driver);
      set(`${services}\\${driver}`, 'Start', AT_BOOT);
      // Windows writes "3" (on demand) there for every driver of disks that it finds no device for.
      const override = `${services}\\${driver}\\StartOverride`;
      const values = overrides(system, override);
      if (values === undefined) continue;
      record.removedKeys.push({ key: override, values });
      edits.push({ kind: 'remove key', key: override });
    }
    set(`${services}\\partmgr\\Parameters`, 'SanPolicy', ONLINE_ALL);
    // An instance gets its address by DHCP; a machine with a static address may have switched the client off.
    if (system.key(`${services}\\Dhcp`) !== undefined) set(`${services}\\Dhcp`, 'Start', AUTOMATIC);
    // A stop stays on the screen, where GetConsoleScreenshot sees its code.
    set(`${controlSet}\\Control\\CrashControl`, 'AutoReboot', 0);
  }
  return { edits, record, drivers: [...drivers] };
}

/**
 * What takes {@link planForRecoverySite} back on a hive that Windows has written to since. A value that is no longer as we
 * set it is somebody's, and stays. Drivers that started with Windows at home, and for which it found no device on EC2,
 * start again.
 */
export function planForPrimarySite(system: HiveReader, record: RegistryRecord): RegistryEdit[] {
  const edits: RegistryEdit[] = [];
  for (const { key, name, ours, original } of record.values) {
    const found = system.value(key, name);
    if (found === undefined || !sameValue(found, unstored(ours))) continue;
    edits.push(
      original === null
        ? { kind: 'remove value', key, name }
        : { kind: 'set', key, value: { name, ...unstored(original) } },
    );
  }
  for (const { key, values } of record.removedKeys) {
    const service = key.slice(0, key.lastIndexOf('\\'));
    if (system.key(service) === undefined || system.key(key) !== undefined) continue;
    edits.push({ kind: 'add key', key });
    for (const { name, ...value } of values) {
      edits.push({ kind: 'set', key, value: { name, ...unstored(value) } });
    }
  }
  for (const { controlSet, services } of record.bootDrivers) {
    for (const service of services) {
      const override = `${controlSet}\\Services\\${service}\\StartOverride`;
      const key = system.key(override);
      if (key !== undefined && system.subkeys(key).length === 0)
        edits.push({ kind: 'remove key', key: override });
    }
  }
  return edits;
}

/** The control sets that Windows may start with: the default, the one it ran with, and the last known good. */
export function controlSets(system: HiveReader): string[] {
  const sets = new Set<string>();
  for (const name of ['Default', 'Current', 'LastKnownGood']) {
    const number = system.dword('Select', name);
    if (number === undefined || number < 1 || number > 999) continue;
    const controlSet = `ControlSet${String(number).padStart(3, '0')}`;
    if (system.key(`${controlSet}\\Services`) !== undefined) sets.add(controlSet);
  }
  if (sets.size === 0) throw new HiveError('its key Select names no control set that is there');
  return [...sets];
}

function bootDrivers(system: HiveReader, services: string): string[] {
  const key = system.key(services);
  const found: string[] = [];
  for (const service of key === undefined ? [] : system.subkeys(key)) {
    if (!PLAIN_NAME.test(service.name)) continue;
    const path = `${services}\\${service.name}`;
    const values = system.values(service);
    const number = (name: string) => {
      const value = values.find((one) => one.name.toUpperCase() === name);
      return value?.type === REG_DWORD && value.data.length === 4 ? value.data.readUInt32LE(0) : undefined;
    };
    if (number('TYPE') !== KERNEL_DRIVER || number('START') !== AT_BOOT) continue;
    if (system.subkey(service, 'StartOverride') !== undefined) continue;
    found.push(path.slice(services.length + 1));
    if (found.length > MAX_BOOT_DRIVERS) throw new HiveError('it has more drivers than is believed');
  }
  return found;
}

/** The values of a StartOverride; undefined where there is none. */
function overrides(
  system: HiveReader,
  path: string,
): RegistryRecord['removedKeys'][number]['values'] | undefined {
  const key = system.key(path);
  if (key === undefined) return undefined;
  const values = system.values(key);
  if (
    system.subkeys(key).length > 0 ||
    values.length > MAX_OVERRIDES ||
    values.some((value) => !PLAIN_NAME.test(value.name))
  ) {
    throw new HiveError(`its key ${path} holds more than Windows puts there`);
  }
  return values.map((value) => ({ name: value.name, ...stored(value) }));
}

function stored({ type, data }: RegistryValue): StoredValue {
  if (data.length > MAX_DATA_BYTES || type > 255)
    throw new HiveError('a value that is a number has other data');
  return { type, data: data.toString('hex') };
}

function unstored({ type, data }: StoredValue): { type: number; data: Buffer } {
  return { type, data: Buffer.from(data, 'hex') };
}

function noNvmeDriver(): GuestNotAdaptableError {
  return new GuestNotAdaptableError(
    'The guest has no NVMe driver (service stornvme), without which an instance finds no disk: Windows has one since 8.1 and ' +
      'Server 2012 R2. Upgrade the guest; older versions of Windows are not supported.',
  );
}
