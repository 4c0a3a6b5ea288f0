import { promoteVersion, workerVersions } from '../../client/worker-versions';
import { requireDeployments } from '../../workers/deployment';
import { SettingsError } from '../../workers/settings';
import { describeWithTemporal, startTemporal } from './local-temporal';

describeWithTemporal('a Temporal server without worker deployments', () => {
  it('is told to whoever asks for them, and not waited for', async () => {
    const server = await startTemporal({
      extraArgs: ['--dynamic-config-value', 'system.enableDeploymentVersions=false'],
    });
    try {
      const { client, connection } = server;
      const refused: unknown = await requireDeployments(connection, 'default', 'lifeboat').catch(
        (error: unknown) => error,
      );
      expect(refused).toBeInstanceOf(SettingsError);
      expect(String(refused)).toMatch(/LIFEBOAT_DEPLOYMENT needs a Temporal server with worker deployments/);
      for (const ask of [workerVersions(client, 'lifeboat'), promoteVersion(client, 'lifeboat', '0.1.0')])
        await expect(ask).rejects.toThrow('This Temporal server has no worker deployments');
    } finally {
      await server.teardown();
    }
  }, 120_000);
});
