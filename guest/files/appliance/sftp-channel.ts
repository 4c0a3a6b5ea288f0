import { type Duplex } from 'node:stream';
import { GuestFileError } from '../port';
import { ApplianceError, printable } from './error';
import { ReceivedBytes } from './received';
import {
  MalformedPacketError,
  PacketReader,
  PacketWriter,
  REPLY,
  REQUEST,
  STATUS_NO_SUCH_FILE,
  STATUS_OK,
} from './sftp-packet';

/** OpenSSH's sftp-server sends 256 KiB at most (SFTP_MAX_MSG_LENGTH). */
const MAX_PACKET_BYTES = 256 * 1024;
/** Of a packet's length. */
const LENGTH_BYTES = 4;
const VERSION = 3;
/** By the protocol; each request about an open file repeats it. */
const MAX_HANDLE_BYTES = 256;

/** The protocol has few codes: 4 stands for every error of the system that has none of its own. */
const STATUS_MEANINGS: Record<number, string> = {
  [STATUS_NO_SUCH_FILE]: 'is missing',
  4: 'cannot be read or written: its file system is full, damaged or read-only',
};

/** How long the file server may take, in seconds. */
export interface SftpPatience {
  /** Longest silence while an answer is waited for. A disk of EBS that is read for the first time takes some. */
  silence: number;
  /** For all that is asked of one file or directory: half a GiB comes in minutes, over the slowest disk, too. */
  file: number;
}
const PATIENCE: SftpPatience = { silence: 120, file: 1800 };

export interface Answer {
  type: number;
  reader: PacketReader;
}

/** Requests to the file server of the appliance, and its answers, which come in any order. */
export class SftpChannel {
  private readonly received = new ReceivedBytes();
  private readonly patience: SftpPatience;
  private failure: Error | undefined;
  private timer: NodeJS.Timeout | undefined;
  private nextId = 1;
  private readonly waiting = new Map<
    number,
    { resolve: (answer: Answer) => void; reject: (error: Error) => void }
  >();

  constructor(
    private readonly stream: Duplex,
    patience: Partial<SftpPatience> = {},
    /** Tells why the stream has ended. */
    gone: () => Promise<Error> = () => Promise.resolve(new ApplianceError('has gone')),
  ) {
    this.patience = { ...PATIENCE, ...patience };
    stream.on('data', (data: Buffer) => this.receive(data));
    for (const event of ['error', 'end', 'close'])
      stream.on(event, () => void gone().then((error) => this.fail(error)));
  }

  /** Ends whatever is waited for with this error; the first one counts. */
  fail(error: Error): void {
    this.failure ??= error;
    clearTimeout(this.timer);
    for (const { reject } of this.waiting.values()) reject(this.failure);
    this.waiting.clear();
  }

  /** Agrees on the version. */
  async start(): Promise<void> {
    const answer = this.expect(0);
    this.send(new PacketWriter().uint32(VERSION).content, REQUEST.INIT);
    await answer;
  }

  request(type: number, body: PacketWriter): Promise<Answer> {
    const id = this.nextId++;
    const answer = this.expect(id);
    this.send(Buffer.concat([new PacketWriter().uint32(id).content, body.content]), type);
    return answer;
  }

  /** A request whose answer says no more than that it is done. @throws GuestFileError where it is not */
  async ok(path: string, type: number, body: PacketWriter): Promise<void> {
    const answer = await this.request(type, body);
    this.refuse(path, answer);
    if (answer.type !== REPLY.STATUS) throw this.malformed();
  }

  /** Opens what is at a path, works on it by its handle, and closes it. */
  async withHandle<T>(
    path: string,
    type: number,
    body: PacketWriter,
    work: (handle: Buffer) => Promise<T>,
  ): Promise<T> {
    const timer = setTimeout(
      () => this.fail(new ApplianceError(`takes more than ${this.patience.file} s for a file`)),
      this.patience.file * 1000,
    );
    try {
      return await this.withOpenHandle(path, await this.request(type, body), work);
    } finally {
      clearTimeout(timer);
    }
  }

  private async withOpenHandle<T>(
    path: string,
    answer: Answer,
    work: (handle: Buffer) => Promise<T>,
  ): Promise<T> {
    this.refuse(path, answer);
    const handle = this.parse(answer, REPLY.HANDLE, (reader) => Buffer.from(reader.bytes()));
    if (handle.length > MAX_HANDLE_BYTES) throw this.malformed();
    let result: T;
    try {
      result = await work(handle);
    } catch (error) {
      // The first error says what went wrong; closing fails in its wake.
      await this.ok(path, REQUEST.CLOSE, new PacketWriter().bytes(handle)).catch(() => undefined);
      throw error;
    }
    await this.ok(path, REQUEST.CLOSE, new PacketWriter().bytes(handle));
    return result;
  }

  /** Reads an answer that has to be of a type. @throws ApplianceError where it is none such */
  parse<T>({ type, reader }: Answer, expected: number, read: (reader: PacketReader) => T): T {
    try {
      if (type !== expected) throw new MalformedPacketError();
      return read(reader);
    } catch (error) {
      if (error instanceof MalformedPacketError) throw this.malformed();
      throw error;
    }
  }

  /** The code of an answer that is an error, or an end; undefined for one that is what was asked for. */
  error(answer: Answer): { code: number; message: string } | undefined {
    if (answer.type !== REPLY.STATUS) return undefined;
    const status = this.status(answer);
    // Success is no answer to who asked for something.
    if (status.code === STATUS_OK) throw this.malformed();
    return status;
  }

  /** @throws GuestFileError where the answer is that it did not work */
  refuse(path: string, answer: Answer): void {
    if (answer.type !== REPLY.STATUS) return;
    const { code, message } = this.status(answer);
    if (code !== STATUS_OK) throw new GuestFileError(path, message);
  }

  /** Nothing is believed any more once something is malformed. */
  malformed(): Error {
    const error = new ApplianceError('answers what is not understood (files)');
    this.fail(error);
    return error;
  }

  private status(answer: Answer): { code: number; message: string } {
    return this.parse(answer, REPLY.STATUS, (reader) => {
      const code = reader.uint32();
      const message = printable(reader.text()).slice(0, 200);
      return { code, message: STATUS_MEANINGS[code] ?? (message || `error ${code}`) };
    });
  }

  private expect(id: number): Promise<Answer> {
    return new Promise((resolve, reject) => {
      if (this.failure) return reject(this.failure);
      this.waiting.set(id, { resolve, reject });
      this.watch();
    });
  }

  private send(body: Buffer, type: number): void {
    if (this.failure) return;
    const head = Buffer.alloc(5);
    head.writeUInt32BE(body.length + 1);
    head.writeUInt8(type, 4);
    this.stream.write(head);
    this.stream.write(body);
  }

  /** Every answer gives the rest as much time again. */
  private watch(): void {
    clearTimeout(this.timer);
    if (this.waiting.size === 0) return;
    this.timer = setTimeout(
      () => this.fail(new ApplianceError(`does not answer (files) within ${this.patience.silence} s`)),
      this.patience.silence * 1000,
    );
  }

  private receive(data: Buffer): void {
    // Nobody waits for it any more.
    if (this.failure !== undefined) return;
    this.received.push(data);
    while (this.failure === undefined && this.received.length >= LENGTH_BYTES) {
      const length = this.received.peekUInt32();
      if (length < 1 || length > MAX_PACKET_BYTES) {
        this.malformed();
        return;
      }
      if (this.received.length < LENGTH_BYTES + length) return;
      this.take(this.received.take(LENGTH_BYTES + length).subarray(LENGTH_BYTES));
    }
  }

  private take(packet: Buffer): void {
    const type = packet.readUInt8();
    const reader = new PacketReader(packet.subarray(1));
    try {
      // The first answer has no number but the version.
      const first = reader.uint32();
      const id = type === REPLY.VERSION && first === VERSION ? 0 : first;
      const waiting = this.waiting.get(id);
      if (waiting === undefined || (type === REPLY.VERSION) !== (id === 0)) throw new MalformedPacketError();
      this.waiting.delete(id);
      this.watch();
      waiting.resolve({ type, reader });
    } catch {
      this.malformed();
    }
  }
}
