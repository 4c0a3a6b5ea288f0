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
