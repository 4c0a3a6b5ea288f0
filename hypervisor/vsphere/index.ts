export { vsphereHypervisor, type VsphereHypervisor, type VsphereHypervisorOptions } from './hypervisor';
export { readVsphereSettings, type VsphereSettings, VsphereSettingsError } from './settings';
