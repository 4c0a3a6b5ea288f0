import { type SandboxConfig } from '../config';
import { localSite } from './local-site';
import { type PrimarySite } from './primary-site';
import { vsphereSite } from './vsphere-site';

/** The data centre of a sandbox. */
export function siteOf(config: SandboxConfig): PrimarySite {
  return config.dataCentre === 'vsphere' ? vsphereSite(config) : localSite(config);
}
