import { once } from 'node:events';
import { mkdirSync, mkdtempSync } from 'node:fs';
import { readdir, rm, stat, writeFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runTool, toolOutput } from '../../host/run-tool';
import { type NbdServer, serveNbd } from '../../machines/nbd/server';
import { type Pattern, patternDisk } from '../support/synthetic-disk';

const random = (n: number): Pattern => ({ random: String(n) });
const DISK = patternDisk([random(1), 'zero', random(2), { text: 'text ' }, random(3)], 2_100_736);
/** A sector that cannot be read. */
const BAD = 1_500_160;

let directory: string;
let socket: string;
let server: NbdServer;
let broken: boolean;
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'lifeboat-nbd-'));
  socket = join(directory, 'socket');
  broken = false;
  server = await serveNbd(
    {
      sizeBytes: DISK.length,
      read(offset, length) {
        if (broken && offset <= BAD && offset + length > BAD) return Promise.reject(new Error('bad sector'));
        const middle = offset + Math.floor(length / 2);
        return Promise.resolve([DISK.subarray(offset, middle), DISK.subarray(middle, offset + length)]);
      },
    },
    socket,
  );
});
afterEach(async () => {
  await server.close();
  await rm(directory, { recursive: true, force: true });
});

const uri = (): string => `nbd+unix:///?socket=${socket}`;

describe('The NBD server', () => {
  it('gives QEMU exactly the bytes of its disk, and takes none', async () => {
    const path = join(directory, 'disk.raw');
    await writeFile(path, DISK);
    await toolOutput('qemu-img', ['compare', '-s', '-f', 'raw', '-F', 'raw', path, uri()]);
    const info = JSON.parse(
      await toolOutput('qemu-img', ['info', '--output=json', '-f', 'raw', uri()]),
    ) as object;
    expect(info).toMatchObject({ 'virtual-size': DISK.length });
    const written = await runTool('qemu-io', ['-f', 'raw', '-c', 'write 0 512', uri()], {
      timeoutSeconds: 60,
    });
    expect(written.exitCode).not.toBe(0);
    expect((await stat(socket)).mode & 0o777).toBe(0o600);
  });

  it('tells of an I/O error, and goes on', async () => {
    broken = true;
    const read = await toolOutput('qemu-io', [
      '-r',
      '-f',
      'raw',
      '-c',
      `read ${BAD} 512`,
      '-c',
      'read 0 512',
      uri(),
    ]).catch((error: Error) => error.message);
    expect(read).toMatch(/Input\/output error[^]*read 512\/512 bytes at offset 0/);
  });

  it('answers what it cannot do, and what lies past the end, in order', async () => {
    const client = await Client.connect();
    expect((await client.read(18)).toString('latin1', 0, 16)).toBe('NBDMAGICIHAVEOPT');
    client.send(u32(3));
    client.option(8); // structured replies
    expect((await client.read(20)).readUInt32BE(12)).toBe(2 ** 31 + 1);
    client.option(3); // list
    expect((await client.read(24)).readUInt32BE(12)).toBe(2);
    expect((await client.read(20)).readUInt32BE(12)).toBe(1);
    client.option(7, Buffer.from([0, 0, 0, 9, 0, 0])); // go, with a name that is not there
    expect((await client.read(20)).readUInt32BE(12)).toBe(2 ** 31 + 3);
    client.option(1); // export by name
    expect((await client.read(10)).readBigUInt64BE(0)).toBe(BigInt(DISK.length));
    for (const [command, offset, length, error] of [
      [0, DISK.length - 1, 2, 22],
      [0, 2 ** 60, 1, 22],
      [0, 0, 2 ** 21, 22],
      [4, 0, 512, 22],
    ] as const) {
      client.request(command, offset, length);
      expect((await client.read(16)).readUInt32BE(4)).toBe(error);
    }
    client.request(0, 3, 7);
    expect((await client.read(16 + 7)).subarray(16).equals(DISK.subarray(3, 10))).toBe(true);
    client.request(2, 0, 0);
    await client.ended();
  });

  it('ends the connection of whoever speaks otherwise, and no other', async () => {
    const opening = [u32(3), Buffer.from('IHAVEOPT\0\0\0\x01\0\0\0\0', 'latin1')];
    const endings: Buffer[][] = [
      [Buffer.from('GET / HTTP/1.1\r\n\r\n')],
      [u32(3), Buffer.alloc(16, 1)],
      [u32(3), Buffer.from('IHAVEOPT\0\0\0\x07\xff\xff\xff\xff', 'latin1')],
      [...opening, Buffer.alloc(28)],
      [
        ...opening,
        Buffer.from('25609513000000010000000000000001000000000000000000000200', 'hex'),
        Buffer.alloc(512),
      ],
    ];
    const patient = await Client.connect();
    for (const sent of endings) {
      const client = await Client.connect();
      for (const bytes of sent) client.send(bytes);
      await client.ended();
    }
    const gone = await Client.connect();
    gone.send(Buffer.concat(opening).subarray(0, 9));
    gone.socket.destroy();
    patient.send(Buffer.concat(opening));
    await patient.read(18 + 10);
    patient.request(0, 0, 4);
    expect((await patient.read(20)).subarray(16).equals(DISK.subarray(0, 4))).toBe(true);
    patient.socket.destroy();
  });

  it('has its socket wherever the directory is, and takes it away', async () => {
    const deep = join(directory, 'd'.repeat(120));
    mkdirSync(deep);
    const other = await serveNbd(
      { sizeBytes: 512, read: () => Promise.resolve([Buffer.alloc(512)]) },
      join(deep, 's'),
    );
    expect(await readdir(deep)).toEqual(['s']);
    await other.close();
    expect(await readdir(deep)).toEqual([]);
    await expect(
      serveNbd({ sizeBytes: 0, read: () => Promise.resolve([]) }, join(deep, 'no', 's')),
    ).rejects.toThrow(/ENOENT/);
  });
});

/** A client that can say anything. */
class Client {
  private received = Buffer.alloc(0);

  private constructor(readonly socket: Socket) {
    socket.on('data', (bytes) => (this.received = Buffer.concat([this.received, bytes])));
    socket.on('error', () => undefined);
  }

  static async connect(): Promise<Client> {
    const client = new Client(connect(socket));
    await once(client.socket, 'connect');
    return client;
  }

  send(bytes: Buffer): void {
    this.socket.write(bytes);
  }

  option(option: number, data = Buffer.alloc(0)): void {
    this.send(Buffer.concat([Buffer.from('IHAVEOPT'), u32(option), u32(data.length), data]));
  }

  request(command: number, offset: number, length: number): void {
    const place = Buffer.alloc(8);
    place.writeBigUInt64BE(BigInt(offset));
    this.send(Buffer.concat([u32(0x25609513), u32(command), Buffer.alloc(8), place, u32(length)]));
  }

  async read(length: number): Promise<Buffer> {
    while (this.received.length < length) await once(this.socket, 'data');
    const bytes = this.received.subarray(0, length);
    this.received = this.received.subarray(length);
    return bytes;
  }

  /** Resolves when the server has ended the connection. */
  async ended(): Promise<void> {
    if (!this.socket.closed) await once(this.socket, 'close');
  }
}

function u32(number: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(number);
  return bytes;
}
