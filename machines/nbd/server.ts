import { once } from 'node:events';
import { chmod, open } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import { basename, dirname } from 'node:path';
import { ByteReader } from './byte-reader';
import { shakeHands } from './handshake';
import {
  COMMAND,
  ERROR,
  LONGEST_READ_BYTES,
  parseRequest,
  REQUEST_BYTES,
  type Request,
  simpleReply,
} from './protocol';

/** A disk that can be read at any offset. */
export interface ReadableDevice {
  readonly sizeBytes: number;
  /**
   * Bytes of the disk, in order, in as many pieces as suits; they are not written to. Called many times at once.
   * @throws where they cannot be read; the client is told of an I/O error, and nothing more
   */
  read(offset: number, length: number): Promise<Buffer[]>;
}

export interface NbdServer {
  /** Ends the connections, and the socket goes. */
  close(): Promise<void>;
}

/** Requests of a connection under way at once, at most; QEMU has 16. With what each may ask for, a bound on memory. */
const REQUESTS_AT_ONCE = 16;

/**
 * Serves a disk, read-only, by the Network Block Device protocol (fixed newstyle, simple replies) on a unix socket that only this
 * user can open. What is no request of the protocol ends its connection.
 * @param socketPath is made; the directory must be there. It may be longer than the 107 bytes of a socket's address.
 */
export async function serveNbd(device: ReadableDevice, socketPath: string): Promise<NbdServer> {
  const connections = new Set<Socket>();
  const server = createServer((socket) => {
    connections.add(socket);
    socket.on('close', () => connections.delete(socket));
    // A connection that breaks is the client's affair; it is one that is read no further.
    socket.on('error', () => undefined);
    void serveClient(device, socket)
      .catch(() => undefined)
      .finally(() => socket.destroySoon());
  });
  const directory = await open(dirname(socketPath), 'r');
  try {
    server.listen(`/proc/self/fd/${directory.fd}/${basename(socketPath)}`);
    await once(server, 'listening');
    await chmod(socketPath, 0o600);
  } catch (error) {
    server.close();
    await directory.close();
    throw error;
  }
  return {
    async close() {
      const closed = once(server, 'close');
      server.close();
      for (const socket of connections) socket.destroy();
      await closed;
      // Later than the server, which removes its socket by this directory's number.
      await directory.close();
    },
  };
}

/** Returns when the client has gone, wants no more, or sent what no client sends. */
async function serveClient(device: ReadableDevice, socket: Socket): Promise<void> {
  const from = new ByteReader(socket);
  if (!(await shakeHands(from, socket, device.sizeBytes))) return;
  const underWay = new Set<Promise<void>>();
  for (;;) {
    const bytes = await from.read(REQUEST_BYTES);
    const request = bytes && parseRequest(bytes);
    // The payload of a write, which nothing that was told of a read-only disk sends, would be taken for requests.
    if (request === undefined || request.command === COMMAND.write) return;
    if (request.command === COMMAND.disconnect) return;
    const answered: Promise<void> = answer(device, socket, request).finally(() => underWay.delete(answered));
    underWay.add(answered);
    if (underWay.size >= REQUESTS_AT_ONCE) await Promise.race(underWay);
    // A client that takes no answers gets no more of them.
    if (socket.writableNeedDrain) await drained(socket);
  }
}

/** Returns when more can be written, or nothing at all any more. */
function drained(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      socket.off('drain', done).off('close', done);
      resolve();
    };
    socket.on('drain', done).on('close', done);
  });
}

/** Answers a request; never rejects. */
async function answer(device: ReadableDevice, socket: Socket, request: Request): Promise<void> {
  const { command, cookie, offset, length } = request;
  let error: number = ERROR.none;
  let pieces: Buffer[] = [];
  if (command !== COMMAND.read || length > LONGEST_READ_BYTES || offset + length > device.sizeBytes)
    error = ERROR.invalid;
  else
    try {
      pieces = await device.read(offset, length);
    } catch {
      error = ERROR.io;
    }
  if (socket.destroyed) return;
  socket.cork();
  for (const piece of [simpleReply(cookie, error), ...pieces]) socket.write(piece);
  socket.uncork();
}
