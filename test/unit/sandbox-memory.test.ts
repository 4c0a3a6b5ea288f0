import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { projectRoot } from '../../host/project-root';
import { type SandboxConfig } from '../../sandbox/config';
import { sandboxProcesses } from '../../sandbox/supervisor/processes';
import { CONTROL_ENVIRONMENT } from '../../workers/node-flags';

const config: SandboxConfig = {
  ...{ directory: '/sandbox', network: { id: 'abc123', runDirectory: '/run/lifeboat-abc123' } },
  ...{ loopbackOctet: 77, region: 'eu-central-1', accessKeyId: 'id', secretAccessKey: 'secret' },
  ports: { aws: 1, dns: 2, temporal: 3, ui: 4 },
  ...{ runner: 'no-boot', application: 'none' },
};

it("the sandbox's Temporal server gathers less garbage than Go lets it, and has what a server in one process needs", () => {
  const server = sandboxProcesses(config).find(({ name }) => name === 'temporal');
  expect(server?.env).toEqual({ GOGC: '30' });
  const settings = server?.args.flatMap((argument, n) =>
    argument === '--dynamic-config-value' ? [server.args[n + 1]] : [],
  );
  expect(settings).toEqual(
    expect.arrayContaining([
      'history.hostLevelCacheMaxSize=256',
      // Of one queue all tasks are in one place, whoever polls.
      'matching.numTaskqueueReadPartitions=1',
      'matching.numTaskqueueWritePartitions=1',
    ]),
  );
});

describe("a control worker's heap of the C library", () => {
  const settings = Object.entries(CONTROL_ENVIRONMENT).map(([name, value]) => `${name}=${value}`);
  const file = (path: string): string => readFileSync(join(projectRoot(), path), 'utf8');

  it('is one in the sandbox, and what is large is not of it', () => {
    const having = sandboxProcesses(config)
      .filter(({ env }) => Object.keys(CONTROL_ENVIRONMENT).some((name) => name in env))
      .map(({ name, env }) => [name, env]);
    expect(having).toEqual([['worker-control', expect.objectContaining(CONTROL_ENVIRONMENT)]]);
  });

  it('is so by the unit, and by the Compose file, for the control worker alone', () => {
    expect(file('deploy/systemd/lifeboat-control.service').split('\n')).toContain(
      `Environment=${settings.join(' ')}`,
    );
    const { services } = parse(file('docker-compose.temporal.yml'), { merge: true }) as {
      services: Record<string, { environment: Record<string, string> }>;
    };
    expect(services.control?.environment).toMatchObject(CONTROL_ENVIRONMENT);
    expect(services['aws-proxy']?.environment).not.toHaveProperty('MALLOC_ARENA_MAX');
  });
});
