import { createServer, Socket, type Server, type SocketConstructorOpts } from 'node:net';

/** A request whose body is a view of its connection's memory: it is gone once the answer is made. */
export interface LeanRequest {
  method: string;
  /** Path without query. */
  path: string;
  query: string;
  /** Value of a header, by its lower-case name. */
  header(name: string): string | undefined;
  body: Buffer;
}

export interface LeanResponse {
  status: number;
  headers?: Record<string, string>;
  /** Must stay as it is until it is sent, which it is before the connection's next request. */
  body?: Buffer;
}

/** `memory`: BLOCK_SIZE bytes of the connection's own, to answer from. */
export type Answer = (request: LeanRequest, memory: Buffer) => LeanResponse;

/** Longest head of a request; longer ones are no client's of ours. */
const MOST_HEAD_BYTES = 16 * 1024;
/** Longest body: a block. */
const MOST_BODY_BYTES = 512 * 1024;

const REASONS: Record<number, string> = { 200: 'OK', 201: 'Created', 202: 'Accepted', 400: 'Bad Request' };

/**
 * An HTTP/1.1 server for requests with a Content-Length, one after another on a connection: what EBS clients send. Each is
 * answered so many milliseconds after it came, whatever else is under way.
 * node:http takes 0.36 ms of CPU to receive a block, most of it for memory that it allocates for every 64 KiB; this
 * one has the kernel copy into memory that each connection keeps, and takes 0.13 ms.
 */
export function leanServer(answer: Answer, latencyMs: () => number): Server {
  return createServer({ pauseOnConnect: true, noDelay: true }, (accepted) => {
    serve(withReads(accepted, new Connection(answer, latencyMs)));
  });
}

/**
 * The same connection as a socket that reads into memory of ours. Node has `onread` for sockets that one makes
 * oneself; a server makes its sockets by itself, so the handle is moved over, which no public call does.
 */
function withReads(accepted: Socket, connection: Connection): Socket {
  const inner = accepted as unknown as { _handle: unknown };
  const handle = inner._handle;
  inner._handle = null;
  const socket: Socket = new Socket({
    handle,
    readable: true,
    writable: true,
    onread: {
      buffer: () => connection.room(),
      callback(bytes) {
        connection.received(bytes, socket);
        return true;
      },
    },
  } as SocketConstructorOpts);
  return socket;
}

function serve(socket: Socket): void {
  // A client that goes away in the middle is its own affair; what it leaves undone shows in the counts.
  socket.on('error', () => socket.destroy());
  socket.resume();
}

class Connection {
  private readonly memory = Buffer.allocUnsafeSlow(MOST_HEAD_BYTES + MOST_BODY_BYTES);
  private readonly answerMemory = Buffer.allocUnsafeSlow(MOST_BODY_BYTES);
  private filled = 0;
  /** Once the head is there: where the body begins, and where the request ends. */
  private head: { text: string; bodyAt: number; end: number } | undefined;
  /** Whether a request is there that is not answered yet. */
  private answering = false;

  constructor(
    private readonly answer: Answer,
    private readonly latencyMs: () => number,
  ) {}

  room(): Buffer {
    return this.memory.subarray(this.filled);
  }

  received(bytes: number, socket: Socket): void {
    this.filled += bytes;
    this.work(socket);
  }

  private work(socket: Socket): void {
    while (!this.answering) {
      this.head ??= this.readHead(socket);
      if (this.head === undefined || this.filled < this.head.end) return;
      const { text, bodyAt, end } = this.head;
      const response = this.answer(request(text, this.memory.subarray(bodyAt, end)), this.answerMemory);
      this.memory.copyWithin(0, end, this.filled);
      this.filled -= end;
      this.head = undefined;
      const latencyMs = this.latencyMs();
      if (latencyMs === 0) respond(socket, response);
      else this.respondLater(socket, response, latencyMs);
    }
  }

  private respondLater(socket: Socket, response: LeanResponse, latencyMs: number): void {
    this.answering = true;
    setTimeout(() => {
      this.answering = false;
      if (socket.destroyed) return;
      respond(socket, response);
      this.work(socket);
    }, latencyMs);
  }

  private readHead(socket: Socket): Connection['head'] {
    const headEnd = this.memory.subarray(0, Math.min(this.filled, MOST_HEAD_BYTES)).indexOf('\r\n\r\n');
    if (headEnd < 0) {
      if (this.filled >= MOST_HEAD_BYTES) socket.destroy(new Error('the head of the request is too long'));
      return undefined;
    }
    const text = this.memory.toString('latin1', 0, headEnd + 2);
    const bodyAt = headEnd + 4;
    const length = Number(header(text, 'content-length') ?? 0);
    if (!(length <= MOST_BODY_BYTES) || header(text, 'transfer-encoding') !== undefined) {
      socket.destroy(new Error('the body of the request is longer than a block, or of unknown length'));
      return undefined;
    }
    if (header(text, 'expect') !== undefined) socket.write('HTTP/1.1 100 Continue\r\n\r\n');
    return { text, bodyAt, end: bodyAt + length };
  }
}

function request(head: string, body: Buffer): LeanRequest {
  const [method = '', target = ''] = head.slice(0, head.indexOf('\r\n')).split(' ');
  const mark = target.indexOf('?');
  return {
    method,
    path: mark < 0 ? target : target.slice(0, mark),
    query: mark < 0 ? '' : target.slice(mark + 1),
    header: (name) => header(head, name),
    body,
  };
}

/** Finds a header without making an object of them all. */
function header(head: string, name: string): string | undefined {
  const match = headerPattern(name).exec(head);
  return match?.[1]?.trim();
}

const patterns = new Map<string, RegExp>();

function headerPattern(name: string): RegExp {
  let pattern = patterns.get(name);
  if (pattern === undefined) {
    pattern = new RegExp(`\r\n${name}:([^\r]*)\r\n`, 'i');
    patterns.set(name, pattern);
  }
  return pattern;
}

function respond(socket: Socket, { status, headers = {}, body }: LeanResponse): void {
  let head = `HTTP/1.1 ${status} ${REASONS[status] ?? 'Other'}\r\ncontent-length: ${body?.length ?? 0}\r\n`;
  for (const [name, value] of Object.entries(headers)) head += `${name}: ${value}\r\n`;
  if (body === undefined) {
    socket.write(`${head}\r\n`, 'latin1');
    return;
  }
  socket.cork();
  socket.write(`${head}\r\n`, 'latin1');
  socket.write(body);
  socket.uncork();
}
