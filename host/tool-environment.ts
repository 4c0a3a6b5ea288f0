import { isSecretVariable } from './secrets';

/** Settings of Lifeboat's own and of its clients, which no tool of the host asks for. */
const OURS = /^(AWS|TEMPORAL|LIFEBOAT)_/;

/**
 * The environment for a tool of this host: what every program needs, messages in one language, and none of this process's credentials.
 * Tools read hostile disks; one that is taken over shall find nothing in its environment, nor shall who may look at it.
 */
export function toolEnvironment(
  more: Record<string, string> = {},
  env: NodeJS.ProcessEnv = process.env,
): NodeJS.ProcessEnv {
  const plain = Object.entries(env).filter(([name]) => !OURS.test(name) && !isSecretVariable(name));
  return { ...Object.fromEntries(plain), LC_ALL: 'C', ...more };
}
