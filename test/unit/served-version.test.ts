import { once } from 'node:events';
import { createServer, type Http2Server, type Http2Session } from 'node:http2';
import { type AddressInfo } from 'node:net';
import { Client, Connection } from '@temporalio/client';
import { requireServedVersion } from '../../cli/commands/check';

/** gRPC status codes. */
const OK = 0;
const PERMISSION_DENIED = 7;
const UNAUTHENTICATED = 16;
/** A gRPC message without a field: not compressed, of no bytes. */
const EMPTY = Buffer.alloc(5);

/** A Temporal that lets everybody in, and answers who asks for pollers with a status. */
async function temporalAnswering(status: number): Promise<{ asked: string[]; server: Http2Server }> {
  const asked: string[] = [];
  const server = createServer();
  server.on('stream', (stream, { ':path': path = '' }) => {
    const method = path.slice(path.lastIndexOf('/') + 1);
    asked.push(method);
    const answer = method === 'GetSystemInfo' ? OK : status;
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
    stream.on('wantTrailers', () =>
      stream.sendTrailers({ 'grpc-status': String(answer), 'grpc-message': 'not for you' }),
    );
    stream.end(answer === OK ? EMPTY : undefined);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { asked, server };
}

describe('a check asks first whether somebody would run it', () => {
  const closing: (() => Promise<void>)[] = [];
  afterEach(async () => {
    for (const close of closing.splice(0)) await close();
  });

  async function ask(status: number): Promise<{ answer: Promise<object>; asked: string[] }> {
    const { asked, server } = await temporalAnswering(status);
    const sessions = new Set<Http2Session>();
    server.on('session', (session) => sessions.add(session));
    const { port } = server.address() as AddressInfo;
    const connection = Connection.lazy({ address: `127.0.0.1:${port}` });
    closing.push(async () => {
      await connection.close();
      for (const session of sessions) session.destroy();
      await new Promise((resolve) => server.close(resolve));
    });
    return { answer: requireServedVersion(undefined, { temporal: new Client({ connection }) }), asked };
  }

  it('and begins for who may not see who polls', async () => {
    const { answer, asked } = await ask(PERMISSION_DENIED);
    expect(await answer).toEqual({});
    expect(asked).toContain('DescribeTaskQueue');
  });

  it('and does not for who is not known at all', async () => {
    const { answer } = await ask(UNAUTHENTICATED);
    await expect(answer).rejects.toMatchObject({ code: UNAUTHENTICATED });
  });

  it('and begins where no version is asked for', async () => {
    const { answer } = await ask(OK);
    expect(await answer).toEqual({});
  });
});
