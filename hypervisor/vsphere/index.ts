export { vsphereHypervisor, type VsphereHypervisor, type VsphereHypervisorOptions } from './hypervisor';
export { credentialsOf, readVsphereSettings, type VsphereSettings, VsphereSettingsError } from './settings';
