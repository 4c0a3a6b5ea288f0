import { AsyncLocalStorage } from 'node:async_hooks';
import { roleEnvironment } from '../../sandbox/access/profiles';
import { type SandboxRole } from '../../sandbox/access/roles';
import { type SandboxConfig } from '../../sandbox/config';

/**
 * Workers of several roles in one process, which has one environment: to work of a role, it is that role's, as that of the role's own process
 * would be. The SDK looks for credentials when a client makes its first call, which each role has clients of its own for.
 */
export function workersInRoles(config: SandboxConfig): <T>(role: SandboxRole, work: () => T) => T {
  const working = new AsyncLocalStorage<Record<string, string>>();
  process.env = new Proxy(process.env, {
    get: (shared, name) =>
      (typeof name === 'string' ? working.getStore()?.[name] : undefined) ??
      (Reflect.get(shared, name) as string | undefined),
  });
  return (role, work) => working.run(roleEnvironment(config, role), work);
}
