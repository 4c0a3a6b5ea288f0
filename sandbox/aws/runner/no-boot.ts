import { join } from 'node:path';
import { consoleOutput } from '../../../machines/machine';
import { type InstanceRunner } from './runner';

/**
 * Instances that only change states: for tests of everything that does not need a guest. After a restart of
 * the endpoint, those that should run do. Their consoles are empty, or what a test has put where a machine's console is.
 */
export function noBootRunner({ directory }: { directory: string }): InstanceRunner {
  const running = new Set<string>();
  return {
    hotPlug: true,
    start: async ({ instanceId }) => void running.add(instanceId),
    isRunning: async (instanceId) => running.has(instanceId),
    adopt: async ({ instanceId }) => {
      running.add(instanceId);
      return true;
    },
    powerDown: async (instanceId) => {
      running.delete(instanceId);
      return true;
    },
    kill: async (instanceId) => void running.delete(instanceId),
    release: async () => {},
    forget: async () => {},
    whilePaused: (_instanceId, work) => work(),
    console: (instanceId) => consoleOutput(join(directory, 'ec2', 'machines', instanceId)),
    screen: async () => undefined,
    answersArp: async ({ instanceId }) => running.has(instanceId),
    close: async () => {},
  };
}
