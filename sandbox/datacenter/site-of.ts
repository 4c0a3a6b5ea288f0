import { type SandboxConfig } from '../config';
import { localSite } from './local-site';
import { type PrimarySite } from './primary-site';

/** The data centre of a sandbox. */
export function siteOf(config: SandboxConfig): PrimarySite {
  return localSite(config);
}
