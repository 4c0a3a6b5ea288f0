import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { QmpClient } from '../../machines/qmp';

const GREETING = '{"QMP": {"version": {}, "capabilities": []}}\n';

describe('a connection to a monitor', () => {
  const directory = mkdtempSync(join(tmpdir(), 'qmp-'));
  const path = join(directory, 'monitor.qmp');
  let server: Server | undefined;

  async function monitor(serve: (socket: Socket) => void): Promise<void> {
    server = createServer(serve);
    await new Promise<void>((done) => server?.listen(path, done));
  }

  afterEach(async () => {
    await new Promise((done) => (server === undefined ? done(undefined) : server.close(done)));
    server = undefined;
  });
  afterAll(() => rmSync(directory, { recursive: true }));

  // What nobody hears ends the process: this file would fail as a whole.
  it('tells the one who asked where nobody listens', async () => {
    await expect(QmpClient.connect(path)).rejects.toThrow(/ENOENT/);
    await turn();
  });

  it('tells the one who asked that QEMU has gone, before it greeted and while it was asked', async () => {
    await monitor((socket) => socket.destroy());
    await expect(QmpClient.connect(path)).rejects.toThrow(/closed the connection|ECONNRESET/);
    await new Promise((done) => server?.close(done));
    await monitor((socket) => {
      socket.write(GREETING);
      let commands = 0;
      socket.on('data', () => {
        commands++;
        if (commands === 1) socket.write('{"return": {}, "id": 1}\n');
        // With what was sent unread, the other end is told of a reset.
        else socket.destroy();
      });
    });
    const client = await QmpClient.connect(path);
    const asked = client.execute('query-block');
    await expect(asked).rejects.toThrow(/closed the connection|ECONNRESET|EPIPE/);
    await expect(client.execute('query-block')).rejects.toThrow(/closed the connection|ECONNRESET|EPIPE/);
    await turn();
  });
});
