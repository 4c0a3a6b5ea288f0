/** Settings of AWS's and Temporal's SDKs, and Lifeboat's own. */
const SITE_SETTING = /^(AWS|TEMPORAL|LIFEBOAT)_/;
/** Says how errors are told, and names no site. */
const HARMLESS = new Set(['LIFEBOAT_DEBUG']);

/**
 * Takes out of the environment whatever leads to another site, or presents a real account's credentials to this one;
 * the sandbox's processes inherit the environment, too.
 */
export function leaveOtherSites(env: NodeJS.ProcessEnv): void {
  for (const name of Object.keys(env)) if (SITE_SETTING.test(name) && !HARMLESS.has(name)) delete env[name];
}
