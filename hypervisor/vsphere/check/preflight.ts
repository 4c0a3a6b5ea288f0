import { access, constants } from 'node:fs/promises';
import { type SiteFindings, type SiteQuestion, VmNotFoundError, VmRefusedError } from '../../port';
import { extraConfig } from '../devices';
import { type Finding, looking, note, ok, problem, siteFindings } from './findings';
import { keptController } from '../proxy/kept-controller';
import { addressNote } from '../failback/mac';
import { chooseNetworks, NetworksMissingError, type SiteNetwork, siteNetworks } from '../networks';
import { datastoreOf, folderOf, newVmPlace, poolOf } from '../failback/placement';
import { missingPrivileges, type PlacedObject, tellMissing } from '../privileges';
import { refuseWhatCannotBe } from '../backup/refuse';
import { type Site } from '../site';
import { snapshotsOf } from '../backup/snapshots';
import { type ManagedObject } from '../vim/schema';
import { homeOf, type VmRef } from '../vm';

/** Free space that new VMs leave a datastore at least: full, it stops those that are on it. */
const FREE_FLOOR_BYTES = 1024 ** 3;

/** What the port's `check` answers. */
export async function checkSite(site: Site, question: SiteQuestion): Promise<SiteFindings> {
  const findings =
    question.purpose === 'backup'
      ? [...(await checkProxy(site)), ...(await checkProtectedVm(site, question.vm, question.excludeDisks))]
      : [...(await checkProxy(site)), ...(await checkNewVms(site, question.vms))];
  return siteFindings(findings);
}

/** The VM that this host is. */
export function checkProxy(site: Site): Promise<Finding[]> {
  return looking('backup proxy', async () => {
    const { client, inventory, settings } = site;
    const ref = await inventory.proxy();
    const path = await inventory.pathOf(ref);
    const object = `backup proxy ${path} (${ref.value})`;
    const { config } = await client.get(ref, 'config');
    if (config === undefined)
      return [problem(object, 'vCenter cannot read its configuration: let the account see it.')];
    const findings = await looking(object, () => {
      const home = homeOf(config.files.vmPathName);
      const { bus } = keptController(config.hardware.device, home, settings.controller);
      return Promise.resolve([ok(object, `its PVSCSI controller ${bus} is free for other VMs' disks.`)]);
    });
    findings.push(
      extraConfig(config.extraConfig, 'disk.EnableUUID')?.toUpperCase() === 'TRUE'
        ? ok(object, 'disk.EnableUUID is TRUE.')
        : problem(
            object,
            'disk.EnableUUID is not TRUE, and disks cannot be told apart by their names: shut it down, add the parameter ' +
              '(VM Options, Advanced, Configuration Parameters), and start it.',
          ),
      ...(await checkDevices(settings.devices)),
      ...(await checkPrivileges(site, [{ place: 'proxy VM', ref, name: path }])),
    );
    return findings;
  });
}

async function checkDevices(directory: string): Promise<Finding[]> {
  try {
    await access(directory, constants.R_OK);
    return [ok(`directory ${directory}`, 'disks will appear here.')];
  } catch {
    return [
      problem(
        `directory ${directory}`,
        'it is not there, or cannot be read: udev makes it where a disk has a name. See that udev runs, or set devices.',
      ),
    ];
  }
}

/** A VM that is to be backed up. */
export function checkProtectedVm(
  site: Site,
  reference: string,
  excludeDisks: readonly string[] = [],
): Promise<Finding[]> {
  return looking(`VM ${reference}`, async () => {
    const { client, inventory } = site;
    const ref = await inventory.vmIfThere(reference);
    if (ref === undefined) {
      const { message } = new VmNotFoundError(reference);
      return [problem(`VM ${reference}`, `${message} Or the account may not see it.`)];
    }
    const path = await inventory.pathOf(ref);
    const object = `VM ${path} (${ref.value})`;
    const findings: Finding[] = [];
    try {
      await refuseWhatCannotBe(site, ref, reference, excludeDisks);
      findings.push(ok(object, 'it can be backed up as it is.'));
    } catch (error) {
      if (!(error instanceof VmRefusedError)) throw error;
      findings.push(problem(object, error.message));
    }
    const { others } = await snapshotsOf(client, ref);
    if (others.length > 0)
      findings.push(
        note(
          object,
          `it has ${others.length === 1 ? 'a snapshot' : `${others.length} snapshots`} of somebody else ` +
            `(${others.map(({ name }) => `"${name}"`).join(', ')}), which is left alone. Snapshots are no backups, and grow: delete ` +
            'those that nobody needs.',
        ),
      );
    findings.push(...(await checkTracking(site, ref, object, others.length > 0)));
    findings.push(...(await checkPrivileges(site, [{ place: 'protected VM', ref, name: path }])));
    return findings;
  });
}

async function checkTracking(
  { client }: Site,
  ref: VmRef,
  object: string,
  hasSnapshots: boolean,
): Promise<Finding[]> {
  const found = await client.get(ref, 'config.changeTrackingEnabled', 'capability.changeTrackingSupported');
  if (found['config.changeTrackingEnabled'] === true) return [ok(object, 'its changes are tracked.')];
  if (found['capability.changeTrackingSupported'] !== true)
    return [
      note(
        object,
        "its hardware version cannot track changes, and each backup reads all of its disks: upgrade the VM's hardware.",
      ),
    ];
  return [
    hasSnapshots
      ? note(
          object,
          'its changes are not tracked, and tracking is not switched on while it has a snapshot: each backup reads all of its disks.',
        )
      : ok(object, 'its changes are not tracked yet; its first backup switches that on.'),
  ];
}

/** Where VMs come home to. */
export async function checkNewVms(
  site: Site,
  vms: Extract<SiteQuestion, { purpose: 'failback' }>['vms'],
): Promise<Finding[]> {
  const objects: PlacedObject[] = [];
  const findings = [
    ...(await checkDatastore(site, objects)),
    ...(await checkPool(site, objects)),
    ...(await checkNetworks(site, vms, objects)),
  ];
  const placed = (folder: ManagedObject<'Folder'>, path: string): void => {
    if (!objects.some(({ ref }) => ref.value === folder.value))
      objects.push({ place: 'folder for new VMs', ref: folder, name: path });
  };
  if (vms.length === 0)
    findings.push(
      ...(await looking('folder for new VMs', async () => {
        const folder = await folderOf(site.inventory);
        const path = await site.inventory.pathOf(folder);
        placed(folder, path);
        return [ok(`folder ${path} (${folder.value})`, 'VMs come into it that the plan gives no path.')];
      })),
    );
  for (const { vm, configuration } of vms)
    findings.push(
      ...(await looking(`VM ${vm}`, async () => {
        const { folder, name } = await newVmPlace(site.inventory, vm, configuration.displayName);
        const path = await site.inventory.pathOf(folder);
        placed(folder, path);
        const there = await site.inventory.vmIfThere(vm);
        if (there === undefined) return [ok(`VM ${vm}`, `it will be "${name}" in ${path}.`)];
        objects.push({ place: 'VM that survived', ref: there, name: vm });
        return [ok(`VM ${vm}`, 'it is there.')];
      })),
    );
  return [...findings, ...(await checkPrivileges(site, objects))];
}

function checkDatastore(site: Site, objects: PlacedObject[]): Promise<Finding[]> {
  return looking('datastore for new VMs', async () => {
    const { client, inventory } = site;
    const { ref, name, summary } = await datastoreOf(inventory);
    objects.push({ place: 'datastore', ref, name });
    const object = `datastore ${name} (${ref.value})`;
    if (!summary.accessible)
      return [problem(object, 'no host reaches it at present: see to it, or set datastore to another.')];
    if (summary.maintenanceMode !== undefined && summary.maintenanceMode !== 'normal')
      return [
        problem(
          object,
          `it is in maintenance (${summary.maintenanceMode}): end that, or set datastore to another.`,
        ),
      ];
    const { 'runtime.host': host } = await client.get(await inventory.proxy(), 'runtime.host');
    const { datastore: seen = [] } = host === undefined ? {} : await client.get(host, 'datastore');
    if (!seen.some(({ value }) => value === ref.value))
      return [
        problem(
          object,
          "the backup proxy's host does not see it, and could not attach disks on it: mount it there, or set datastore.",
        ),
      ];
    const gibibytes = Math.floor((summary.freeSpace / 2 ** 30) * 10) / 10;
    if (summary.freeSpace < FREE_FLOOR_BYTES)
      return [problem(object, `it has ${gibibytes} GiB free: make room, or set datastore to another.`)];
    return [ok(object, `it has ${gibibytes} GiB free.`)];
  });
}

function checkPool(site: Site, objects: PlacedObject[]): Promise<Finding[]> {
  return looking('resource pool for new VMs', async () => {
    const { ref, path } = await poolOf(site.inventory);
    objects.push({ place: 'resource pool', ref, name: path });
    return [ok(`resource pool ${path} (${ref.value})`, 'new VMs come into it.')];
  });
}

async function checkNetworks(
  site: Site,
  vms: Extract<SiteQuestion, { purpose: 'failback' }>['vms'],
  objects: PlacedObject[],
): Promise<Finding[]> {
  return looking('networks', async () => {
    const networks = await siteNetworks(site.client, await site.inventory.datacenter());
    const wanted = vms.flatMap(({ configuration }) => configuration.nics.map(({ network }) => network));
    let chosen: ReadonlyMap<string, SiteNetwork>;
    try {
      chosen = chooseNetworks(networks, site.settings.networks, wanted);
    } catch (error) {
      if (!(error instanceof NetworksMissingError)) throw error;
      return error.problems.map((text) => problem('networks', text));
    }
    const findings: Finding[] = [];
    for (const [before, { name, ref }] of chosen) {
      objects.push({ place: 'network', ref, name });
      findings.push(
        ok(`network ${name} (${ref.value})`, before === name ? 'it is there.' : `it is for "${before}".`),
      );
    }
    for (const { vm, configuration } of vms)
      configuration.nics.forEach(({ mac }, index) => {
        const text = addressNote(mac);
        if (text !== undefined) findings.push(note(`VM ${vm}`, `of network card ${index + 1}, ${text}.`));
      });
    return findings;
  });
}

/** What the account may do at each of these. */
export function checkPrivileges(site: Site, objects: readonly PlacedObject[]): Promise<Finding[]> {
  return looking('privileges', async () => {
    const missing = await missingPrivileges(site.client, objects);
    return objects.map((object): Finding => {
      const told = `${object.place} ${object.name} (${object.ref.value})`;
      const [text] = tellMissing(missing.filter((one) => one.object === object));
      return text === undefined
        ? ok(told, 'the account has all privileges that it needs there.')
        : problem(told, text);
    });
  });
}
