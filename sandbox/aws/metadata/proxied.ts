import { type Server as HttpServer } from 'node:http';
import { createServer, isIPv4, type Server, type Socket } from 'node:net';

/** The first line of a connection by the PROXY protocol, version 1, has at most 107 bytes (HAProxy's description of it). */
const MAX_LINE_BYTES = 107;
/** The proxy sends the line at once. */
const LINE_TIMEOUT_MILLISECONDS = 5_000;

/** Takes connections that begin with a line of the PROXY protocol, and gives them to the HTTP server. */
export function createProxiedServer(http: HttpServer): {
  server: Server;
  sourceOf(socket: Socket): string | undefined;
} {
  const sources = new WeakMap<Socket, string>();
  const server = createServer((socket) => {
    const timer = setTimeout(() => socket.destroy(), LINE_TIMEOUT_MILLISECONDS);
    const drop = (): void => void socket.destroy();
    socket.once('close', () => clearTimeout(timer));
    socket.on('error', drop);
    let head = Buffer.alloc(0);
    const read = (): void => {
      for (let chunk: Buffer | null; (chunk = socket.read() as Buffer | null) !== null;) {
        head = Buffer.concat([head, chunk]);
        const end = head.indexOf('\r\n');
        if (end === -1 && head.length <= MAX_LINE_BYTES) continue;
        const [, source = ''] =
          /^PROXY TCP4 ([0-9.]{7,15}) /.exec(head.subarray(0, Math.max(end, 0)).toString('latin1')) ?? [];
        if (!isIPv4(source)) return drop();
        clearTimeout(timer);
        sources.set(socket, source);
        socket.off('readable', read);
        socket.off('error', drop);
        socket.unshift(head.subarray(end + 2));
        http.emit('connection', socket);
        return;
      }
    };
    socket.on('readable', read);
  });
  return { server, sourceOf: (socket) => sources.get(socket) };
}
