/** What a worker's identity says, such as `aws-proxy@host:71 0.1.0+4d1f0c27b9e8`; see workers/settings.ts. */

/** The version of one that says none: of somebody else, or of an earlier release. */
export const UNKNOWN_VERSION = 'unknown';

/** `aws-proxy@host`: what stands behind that changes with every start. */
export const hostOf = (identity: string): string => identity.split(':')[0] ?? identity;

/** Lifeboat's version, `0.1.0`. */
export function versionIn(identity: string): string {
  return /\s(\d+\.\d+\.\d+[^\s+]*)(\+\S*)?$/.exec(identity)?.[1] ?? UNKNOWN_VERSION;
}
