import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type SandboxConfig } from '../../sandbox/config';
import { sandboxProcesses } from '../../sandbox/supervisor/processes';

const config: SandboxConfig = {
  ...{ directory: '/sandbox', network: { id: 'abc123', runDirectory: '/run/lifeboat-abc123' } },
  ...{ loopbackOctet: 77, region: 'eu-central-1', accessKeyId: 'id', secretAccessKey: 'secret' },
  ports: { aws: 1, dns: 2, temporal: 3, ui: 4 },
  ...{ runner: 'no-boot', application: 'none' },
};

it("the sandbox's Temporal server gathers half as much garbage as Go lets it, and keeps few workflows in memory", () => {
  const server = sandboxProcesses(config).find(({ name }) => name === 'temporal');
  expect(server?.env).toEqual({ GOGC: '50' });
  const settings = server?.args.flatMap((argument, n) =>
    argument === '--dynamic-config-value' ? [server.args[n + 1]] : [],
  );
  expect(settings).toEqual(['history.hostLevelCacheMaxSize=512']);
});

it('its control worker has two heaps of the C library, and the unit for a real one as well', () => {
  const having = sandboxProcesses(config)
    .filter(({ env }) => env.MALLOC_ARENA_MAX === '2')
    .map(({ name }) => name);
  expect(having).toEqual(['worker-control']);
  const unit = readFileSync(join(__dirname, '../../deploy/systemd/lifeboat-control.service'), 'utf8');
  expect(unit).toMatch(/^Environment=.* MALLOC_ARENA_MAX=2$/m);
});
