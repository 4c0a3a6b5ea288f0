export { localHypervisor, stopAllVms, type LocalHypervisorOptions } from './hypervisor';
export { readSettings, settingsFile, type DatacenterSettings } from './settings';
