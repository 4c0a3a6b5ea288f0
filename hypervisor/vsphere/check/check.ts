import { knownFault } from '../backup/cbt-guards';
import { describeConfiguration, networkNames } from '../describe';
import { type Finding, looking, note, ok, problem } from './findings';
import { checkNewVms, checkProtectedVm, checkProxy } from './preflight';
import { siteNetworks } from '../networks';
import { type Site } from '../site';

/** The oldest version whose API the adapter speaks. */
const OLDEST_VERSION = 7;

/**
 * Looks at everything that a backup and a failback will need, and changes nothing.
 * @param vms references of VMs that are to be protected
 */
export async function checkVcenter(site: Site, vms: readonly string[]): Promise<Finding[]> {
  const server = await checkServer(site);
  // Whatever else would be asked would fail for the same reason.
  if (server.some(({ level }) => level === 'problem')) return server;
  const findings = [
    ...server,
    ...(await checkProxy(site)),
    ...(await checkHosts(site)),
    ...(await checkNewVms(site, [])),
    ...(await checkNetworkNames(site)),
  ];
  if (vms.length === 0)
    findings.push(
      ...(await looking('VMs', async () => {
        const all = await site.inventory.references();
        return [
          note(
            'VMs',
            `the account sees ${all.length}, and none was looked at: name those to protect behind the command.`,
          ),
        ];
      })),
    );
  for (const vm of vms) {
    findings.push(...(await checkProtectedVm(site, vm)), ...(await checkCards(site, vm)));
  }
  return findings;
}

function checkServer({ client, settings }: Site): Promise<Finding[]> {
  return looking(`vCenter ${settings.url}`, async () => {
    const { about } = await client.content();
    const object = `vCenter ${new URL(settings.url).host}`;
    const told = `${about.fullName}, API ${about.apiVersion}`;
    if (about.apiType !== 'VirtualCenter')
      return [
        problem(object, `it is no vCenter (${told}): set url to the vCenter that the host belongs to.`),
      ];
    if (Number.parseInt(about.apiVersion, 10) < OLDEST_VERSION)
      // Simulators and old servers say less than they can.
      return [note(object, `${told}; the adapter was written for ${OLDEST_VERSION}.0 and later.`)];
    return [ok(object, `${told}; the account is let in.`)];
  });
}

function checkHosts({ client, inventory }: Site): Promise<Finding[]> {
  return looking('hosts', async () => {
    const hosts = await client.list(
      'HostSystem',
      ['name', 'config', 'runtime'],
      await inventory.datacenter(),
    );
    if (hosts.length === 0)
      return [
        problem('hosts', 'the account sees none: give it the role on the datacenter, with propagation.'),
      ];
    return hosts.flatMap(({ ref, name, config, runtime }): Finding[] => {
      const object = `host ${name ?? ''} (${ref.value})`;
      const version = config?.product.version;
      const fault = knownFault(version);
      if (runtime?.connectionState !== undefined && runtime.connectionState !== 'connected')
        return [note(object, `it is ${runtime.connectionState}; VMs on it cannot be backed up now.`)];
      if (fault !== undefined)
        return [note(object, `ESXi ${version ?? ''}: ${fault}; each backup reads all of a disk there.`)];
      return [ok(object, version === undefined ? 'it is connected.' : `ESXi ${version}.`)];
    });
  });
}

/** The settings' mapping is of use only where it leads to networks that there are. */
function checkNetworkNames(site: Site): Promise<Finding[]> {
  return looking('networks', async () => {
    const networks = await siteNetworks(site.client, await site.inventory.datacenter());
    const names = new Set(networks.map(({ name }) => name));
    const wrong = Object.entries(site.settings.networks).filter(([, to]) => !names.has(to));
    const list = [...names].sort().join(', ') || 'none';
    return wrong.length === 0
      ? [ok('networks', `VMs can be put on: ${list}.`)]
      : wrong.map(([from, to]) =>
          problem(
            'networks',
            `the settings have "${to}" for "${from}", and the datacenter has no network of that name, but: ${list}.`,
          ),
        );
  });
}

/** Whether the VM could be given its cards again here. */
function checkCards({ client, inventory, settings }: Site, vm: string): Promise<Finding[]> {
  return looking(`VM ${vm}`, async () => {
    const ref = await inventory.vmIfThere(vm);
    if (ref === undefined) return [];
    const { config } = await client.get(ref, 'config');
    const devices = config?.hardware.device ?? [];
    const names = await networkNames(client, devices);
    const there = await siteNetworks(client, await inventory.datacenter());
    const { nics } = config === undefined ? { nics: [] } : describeConfiguration(config, names);
    return nics.flatMap(({ network, mac }, index): Finding[] => {
      const wanted = settings.networks[network] ?? network;
      const found = there.filter(({ name }) => name === wanted).length;
      const object = `VM ${vm}, network card ${index + 1} (${mac})`;
      return found === 1
        ? [ok(object, `it can be on "${wanted}" again.`)]
        : [
            problem(
              object,
              `the datacenter has ${found} networks named "${wanted}"; see the settings' networks.`,
            ),
          ];
    });
  });
}
