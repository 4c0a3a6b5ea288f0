export { checkVcenter } from './check/check';
export {
  hypervisorOf,
  vsphereHypervisor,
  type VsphereHypervisor,
  type VsphereHypervisorOptions,
} from './hypervisor';
export { credentialsOf, readVsphereSettings, type VsphereSettings, VsphereSettingsError } from './settings';
export { type Site, vsphereSite } from './site';
export { tryWithTestVm } from './check/trial';
