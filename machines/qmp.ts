import { connect, type Socket } from 'node:net';
import { createInterface } from 'node:readline';

/** QEMU refused a command; `errorClass` is its class, mostly GenericError. */
export class QmpError extends Error {
  constructor(
    readonly command: string,
    readonly errorClass: string,
    description: string,
  ) {
    super(`QEMU refused ${command}: ${description}`);
    this.name = 'QmpError';
  }
}

/**
 * A monitor serves one client at a time, and the next waits in the socket's backlog until that one has gone; so
 * clients come, ask and go, and may have to wait a little.
 */
const CONNECT_TIMEOUT_MILLISECONDS = 15_000;

/** Commands answer at once, but for those that drain or flush disks first. */
const COMMAND_TIMEOUT_MILLISECONDS = 60_000;

interface Reply {
  QMP?: unknown;
  return?: unknown;
  error?: { class: string; desc: string };
  event?: string;
  id?: number;
}

/** A connection to the monitor of a QEMU or of a qemu-storage-daemon (the QEMU Machine Protocol). */
export class QmpClient {
  private nextId = 1;
  private readonly waiting = new Map<number, (outcome: Reply | Error) => void>();
  private failure: Error | undefined;

  private constructor(private readonly socket: Socket) {}

  /** @throws the system's error where nobody listens: ENOENT, ECONNREFUSED */
  static async connect(socketPath: string): Promise<QmpClient> {
    const socket = connect(socketPath);
    const client = new QmpClient(socket);
    let greeted: () => void = () => {};
    const greeting = new Promise<void>((resolve, reject) => {
      greeted = resolve;
      socket.once('error', reject);
      socket.once('close', () => reject(new Error(`The monitor ${socketPath} closed the connection.`)));
      setTimeout(
        () => reject(new Error(`The monitor ${socketPath} is busy or does not answer.`)),
        CONNECT_TIMEOUT_MILLISECONDS,
      ).unref();
    });
    createInterface({ input: socket })
      .on('line', (line) => client.onLine(line, greeted))
      // Node 24 has it tell its input's errors again, and nobody to listen would end the process.
      .on('error', (error) => client.fail(error as Error));
    socket.on('error', (error) => client.fail(error));
    socket.on('close', () => client.fail(new Error(`QEMU closed the connection to ${socketPath}.`)));
    try {
      await greeting;
      await client.execute('qmp_capabilities');
    } catch (error) {
      socket.destroy();
      throw error;
    }
    return client;
  }

  /**
   * Runs one command and returns what QEMU returned. The shape is QEMU's to keep; callers name it.
   * @throws QmpError when QEMU refuses it
   */
  execute<Result = unknown>(command: string, args: Record<string, unknown> = {}): Promise<Result> {
    if (this.failure) return Promise.reject(this.failure);
    const id = this.nextId++;
    return new Promise<Result>((resolve, reject) => {
      const timer = setTimeout(
        () => settle(new Error(`QEMU does not answer ${command} within ${COMMAND_TIMEOUT_MILLISECONDS} ms.`)),
        COMMAND_TIMEOUT_MILLISECONDS,
      );
      const settle = (outcome: Reply | Error): void => {
        clearTimeout(timer);
        this.waiting.delete(id);
        if (outcome instanceof Error) reject(outcome);
        else if (outcome.error) reject(new QmpError(command, outcome.error.class, outcome.error.desc));
        else resolve(outcome.return as Result);
      };
      this.waiting.set(id, settle);
      this.socket.write(`${JSON.stringify({ execute: command, arguments: args, id })}\n`);
    });
  }

  close(): void {
    this.socket.destroy();
  }

  private onLine(line: string, greeted: () => void): void {
    let reply: Reply;
    try {
      reply = JSON.parse(line) as Reply;
    } catch {
      this.fail(new Error(`QEMU sent something else than JSON: ${line.slice(0, 200)}`));
      return;
    }
    if (reply.QMP !== undefined) greeted();
    // Events carry no id; nothing here depends on them, since states are asked for.
    else if (reply.id !== undefined) this.waiting.get(reply.id)?.(reply);
  }

  private fail(error: Error): void {
    this.failure ??= error;
    for (const settle of [...this.waiting.values()]) settle(this.failure);
  }
}

/** Connects, does `work`, and makes room for the next client. */
export async function withQmp<Result>(
  socketPath: string,
  work: (client: QmpClient) => Promise<Result>,
): Promise<Result> {
  const client = await QmpClient.connect(socketPath);
  try {
    return await work(client);
  } finally {
    client.close();
  }
}
