import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { stringify } from 'yaml';
import { writeFileAtomically } from '../../host/atomic-file';
import { listIfExists } from '../../host/if-exists';
import { endProcess } from '../../host/pid-file';
import { VmExistsError } from '../../hypervisor/port';
import { vsphereHypervisor, type VsphereHypervisor } from '../../hypervisor/vsphere';
import { readVsphereSettings } from '../../hypervisor/vsphere/settings';
import { type SandboxConfig } from '../config';
import { sandboxPaths } from '../supervisor/processes';
import { supervisorReport } from '../supervisor/report';
import { importVm } from '../vcenter/import';
import { endSimulatedHost, simulatedDatacenterIn, simulatorSettings } from '../vcenter/simulator';
import { type PrimarySite } from './primary-site';
import { createDatacenter } from './datacenter';
import { listVcenter } from './vcenter-listing';
import { credentialsFile, lostMarker, simulatorOptions, VCENTER_PROCESS } from './vcenter-places';

/** vCenter and its host stop one machine after another. */
const END_MILLISECONDS = 60_000;
/** A process that was just started on a busy machine. */
const ANSWER_SECONDS = 120;
const ASK_MILLISECONDS = 200;

/**
 * A data centre with a simulated vCenter, which is one of the supervisor's processes. What that is told is written before it
 * starts, so that the backup proxy can be started at the same time.
 */
export function vsphereSite(config: SandboxConfig): PrimarySite {
  const paths = sandboxPaths(config);
  const { directory } = simulatorOptions(config);
  let hypervisor: VsphereHypervisor | undefined;
  const site: PrimarySite = {
    get hypervisor() {
      hypervisor ??= vsphereHypervisor({
        settings: readVsphereSettings(paths.vcenterSettings),
        stateDirectory: join(paths.proxies, 'backup-proxy'),
      });
      return hypervisor;
    },

    async open() {
      // Its network, and where people find it, are the same as of any other.
      await createDatacenter({
        directory: paths.datacenter,
        network: config.network,
        loopbackOctet: config.loopbackOctet,
      });
      const { url, user, password, ca, deviceDirectory, proxyUuid } = await simulatorSettings(directory);
      await writeFile(credentialsFile(config), stringify({ user, password }), { mode: 0o600 });
      await writeFileAtomically(
        paths.vcenterSettings,
        stringify({
          url,
          credentials: credentialsFile(config),
          ca,
          devices: deviceDirectory,
          proxy: proxyUuid,
        }),
      );
      await rm(lostMarker(config), { force: true });
    },

    async untilServing() {
      for (const until = Date.now() + ANSWER_SECONDS * 1000; ; await sleep(ASK_MILLISECONDS))
        try {
          await site.hypervisor.listVms();
          return;
        } catch (error) {
          if (Date.now() > until) throw error;
        }
    },

    async importVm(vm) {
      const vcenter = simulatedDatacenterIn(directory);
      if ((await vcenter.control.lookUp(vm.name)) !== undefined) throw new VmExistsError(vm.name);
      await importVm(vcenter, vm);
    },

    async destroy() {
      await writeFileAtomically(lostMarker(config), '');
      await site.stop();
      await hypervisor?.close().catch(() => {}); // there is nobody to log out from any more
      hypervisor = undefined;
      await rm(directory, { recursive: true, force: true });
    },

    survivors: () => listIfExists(simulatedDatacenterIn(directory).datastoreDirectory),

    async stop() {
      const report = (await supervisorReport(config)).find(({ name }) => name === VCENTER_PROCESS);
      if (report?.pid !== undefined) await endProcess(report.pid, config.directory, END_MILLISECONDS);
      await endSimulatedHost(directory);
    },

    rawFile: (vm, key) => join(simulatedDatacenterIn(directory).datastoreDirectory, vm, `${key}-flat.vmdk`),

    list: () =>
      listVcenter(
        readVsphereSettings(paths.vcenterSettings),
        simulatedDatacenterIn(directory).datastoreDirectory,
      ),
  };
  return site;
}
