import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { type Appliance } from '../../guest/files/appliance/appliance';
import { ControlPort } from '../../guest/files/appliance/control';
import { ApplianceError } from '../../guest/files/appliance/error';
import { ApplianceFileSystem } from '../../guest/files/appliance/file-system';
import { ApplianceMissingError, PROTOCOL } from '../../guest/files/appliance/image';
import { SftpClient } from '../../guest/files/appliance/sftp';
import { REPLY, REQUEST } from '../../guest/files/appliance/sftp-packet';
import { findVolume, readVolumes } from '../../guest/files/appliance/volumes';
import { GuestFileError } from '../../guest/files/port';
import { damage, damaged, inputs, inputsMs, oddText, thoughtOf } from './inputs';

/** Each input has a connection of its own, and may wait for an answer that does not come. */
const SHARE = 0.5;
const PATIENCE = { silence: 0.1, file: 0.5 };
/** Longest that one connection may keep a proxy busy, on a busy machine. */
const LONGEST_MS = 10_000;
const MIB = 2 ** 20;

const directory = mkdtempSync(join(tmpdir(), 'lifeboat-test-hostile-appliance-'));
const socketPath = join(directory, 'socket');
const server = createServer();
const open: Socket[] = [];
beforeAll(async () => {
  server.listen(socketPath);
  await once(server, 'listening');
});
afterEach(() => {
  for (const socket of open.splice(0)) socket.destroy();
});
afterAll(async () => {
  await new Promise((resolve) => server.close(resolve));
  rmSync(directory, { recursive: true });
});

/** Two ends of a connection: ours, and the appliance's. */
async function connection(): Promise<{ ours: Socket; theirs: Socket }> {
  const ours = connect(socketPath);
  const [theirs] = (await once(server, 'connection')) as [Socket];
  for (const socket of [ours, theirs]) {
    socket.on('error', () => undefined);
    open.push(socket);
  }
  return { ours, theirs };
}

/** What is done with an answer on its way. */
const treatment = fc.oneof(
  { weight: 8, arbitrary: fc.constant({ how: 'honest' as const }) },
  { weight: 4, arbitrary: damage.map((damage) => ({ how: 'damaged' as const, damage })) },
  fc.constant({ how: 'never' as const }),
  fc.constant({ how: 'twice' as const }),
  fc.constant({ how: 'late' as const }),
  fc.constant({ how: 'in pieces' as const }),
  fc.constant({ how: 'end' as const }),
  fc.uint8Array({ minLength: 1, maxLength: 300 }).map((bytes) => ({ how: 'behind' as const, bytes })),
);
type Treatment = typeof treatment extends fc.Arbitrary<infer T> ? T : never;

/** Sends answers, each treated as the list says; honest ones when it is through. */
function sender(theirs: Socket, treatments: Treatment[]): (answer: Buffer) => void {
  let held: Buffer = Buffer.alloc(0);
  let next = 0;
  return (answer) => {
    const one = treatments[next++] ?? { how: 'honest' };
    if (one.how === 'late') held = answer;
    else if (one.how === 'end') theirs.end();
    else if (one.how === 'in pieces') for (const byte of answer) theirs.write(Buffer.of(byte));
    else if (one.how !== 'never') {
      theirs.write(one.how === 'damaged' ? damaged(answer, one.damage) : answer);
      if (one.how === 'twice') theirs.write(answer);
      if (one.how === 'behind') theirs.write(one.bytes);
      theirs.write(held);
      held = Buffer.alloc(0);
    }
  };
}

const uint32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
};
const uint64 = (value: number): Buffer =>
  Buffer.concat([uint32(Math.floor(value / 2 ** 32)), uint32(value >>> 0)]);
const text = (value: string): Buffer => Buffer.concat([uint32(value.length), Buffer.from(value, 'latin1')]);
const packet = (type: number, id: number, ...body: Buffer[]): Buffer => {
  const content = Buffer.concat([Buffer.of(type), uint32(id), ...body]);
  return Buffer.concat([uint32(content.length), content]);
};
const status = (id: number, code: number): Buffer =>
  packet(REPLY.STATUS, id, uint32(code), text(''), text(''));
const attributes = (size: number): Buffer =>
  Buffer.concat([uint32(15), uint64(size), ...[0, 0, 0o100644, 1, 1].map(uint32)]);
const FILE = Buffer.alloc(300_000, 'content ');

/** A file server that says the truth of one file in one directory. */
function honest(type: number, id: number, body: Buffer, read: { directory: boolean }): Buffer {
  switch (type) {
    case REQUEST.INIT:
      return packet(REPLY.VERSION, 3);
    case REQUEST.OPEN:
    case REQUEST.OPENDIR:
      return packet(REPLY.HANDLE, id, text('0001'));
    case REQUEST.LSTAT:
      return packet(REPLY.ATTRS, id, attributes(FILE.length));
    case REQUEST.READLINK:
      return packet(REPLY.NAME, id, uint32(1), text('target'), text(''), uint32(0));
    case REQUEST.READDIR: {
      if (read.directory) return status(id, 1);
      read.directory = true;
      const names = ['.', '..', 'file', 'a/../b'].map((name) =>
        Buffer.concat([text(name), text('ls'), attributes(1)]),
      );
      return packet(REPLY.NAME, id, uint32(names.length), ...names);
    }
    case REQUEST.READ: {
      // Behind the handle, which a lie may have made of any length.
      const asked = body.subarray(4 + body.readUInt32BE());
      const at = Number(asked.readBigUInt64BE());
      const part = FILE.subarray(at, at + asked.readUInt32BE(8));
      return part.length === 0 ? status(id, 1) : packet(REPLY.DATA, id, text(part.toString('latin1')));
    }
    case REQUEST.EXTENDED:
      return packet(REPLY.EXTENDED_REPLY, id, ...[4096, 4096, 9, 9, 9, 9, 9, 9, 9, 0, 255].map(uint64));
    default:
      return status(id, 0);
  }
}

/** Answers whatever is asked for by `answer`. */
function serveFiles(
  theirs: Socket,
  send: (answer: Buffer) => void,
  answer: (type: number, id: number, body: Buffer) => Buffer,
): void {
  let received = Buffer.alloc(0);
  theirs.on('data', (data: Buffer) => {
    received = Buffer.concat([received, data]);
    while (received.length >= 4 && received.length >= 4 + received.readUInt32BE()) {
      const one = received.subarray(4, 4 + received.readUInt32BE());
      received = received.subarray(4 + one.length);
      send(answer(one.readUInt8(), one.readUInt32BE(1), one.subarray(5)));
    }
  });
}

/** What is understood or refused in words of ours; soon, and without taking the host's memory. */
async function judged<T>(work: () => Promise<T>): Promise<T | undefined> {
  const began = performance.now();
  let result: T | undefined;
  const error = await thoughtOf(async () => (result = await work()));
  expect(performance.now() - began).toBeLessThan(LONGEST_MS);
  if (error === undefined) return result;
  expect([ApplianceError, GuestFileError, ApplianceMissingError].some((kind) => error instanceof kind)).toBe(
    true,
  );
  expect(error.message.length).toBeLessThan(3000);
  return undefined;
}

let downloads = 0;
async function useFiles(files: SftpClient): Promise<void> {
  // The file system asks for no more of an appliance than this.
  const run = () => Promise.resolve({ exitCode: 0, stdout: '', stderr: '' });
  const fileSystem = new ApplianceFileSystem({ files, run } as unknown as Appliance, '/guest/0', 'x');
  const target = join(directory, `downloads-${++downloads}`);
  mkdirSync(target);
  const owned = { uid: 0, gid: 0, mode: 0o644, modifiedAt: 1 };
  await judged(() => files.start());
  await judged(() => fileSystem.stat('/file'));
  expect((await judged(() => fileSystem.readlink('/link')))?.length ?? 0).toBeLessThanOrEqual(4096);
  for (const name of (await judged(() => fileSystem.list('/'))) ?? [])
    expect(name).toMatch(/^(?!\.\.?$)[^/]+$/);
  expect((await judged(() => fileSystem.content('/file', 400_000)))?.length ?? 0).toBeLessThanOrEqual(
    400_000,
  );
  await judged(() => fileSystem.content('/file', 1000));
  await judged(() => fileSystem.download('/file', join(target, 'file'), 400_000));
  for (const name of readdirSync(target)) {
    expect(name).toBe('file');
    expect(statSync(join(target, name)).size).toBeLessThanOrEqual(400_000);
  }
  await judged(() => fileSystem.create('/new', FILE, owned));
  await judged(() => fileSystem.replace('/file', FILE, owned));
  await judged(() => fileSystem.space());
  rmSync(target, { recursive: true });
}

it(
  'a file server that lies, says nothing, or is gone',
  async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(treatment, { maxLength: 40 }), async (treatments) => {
        const { ours, theirs } = await connection();
        const read = { directory: false };
        serveFiles(theirs, sender(theirs, treatments), (...request) => honest(...request, read));
        await useFiles(new SftpClient(ours, PATIENCE));
        ours.destroy();
        theirs.destroy();
      }),
      inputs(SHARE),
    );
  },
  inputsMs(SHARE * 5),
);

it(
  'a file server that answers one thing for another',
  async () => {
    const body = fc.array(
      fc.oneof(
        fc.nat(0xffffffff).map(uint32),
        oddText.map(text),
        fc.uint8Array({ maxLength: 40 }).map(Buffer.from),
      ),
      { maxLength: 8 },
    );
    const reply = fc.record({ type: fc.constantFrom(...Object.values(REPLY), 0, 255), body });
    await fc.assert(
      fc.asyncProperty(fc.dictionary(fc.nat(20).map(String), reply), async (lies) => {
        const { ours, theirs } = await connection();
        const read = { directory: false };
        let count = 0;
        serveFiles(
          theirs,
          (answer) => theirs.write(answer),
          (type, id, body) => {
            const lie = lies[String(count++)];
            return lie === undefined ? honest(type, id, body, read) : packet(lie.type, id, ...lie.body);
          },
        );
        await useFiles(new SftpClient(ours, PATIENCE));
        ours.destroy();
        theirs.destroy();
      }),
      inputs(SHARE),
    );
  },
  inputsMs(SHARE * 5),
);

describe('a file server without end', () => {
  /** Answers requests of one type by the same thing again and again. */
  async function with_(type: number, lie: (id: number) => Buffer): Promise<SftpClient> {
    const { ours, theirs } = await connection();
    const read = { directory: false };
    serveFiles(
      theirs,
      (answer) => theirs.write(answer),
      (asked, id, body) => (asked === type ? lie(id) : honest(asked, id, body, read)),
    );
    const files = new SftpClient(ours, { silence: 5, file: 5 });
    await files.start();
    return files;
  }
  const names = (count: number, name: string) => (id: number) =>
    packet(
      REPLY.NAME,
      id,
      uint32(count),
      ...Array.from({ length: count }, () => Buffer.concat([text(name), text(''), uint32(0)])),
    );

  it.each([
    ['no names', names(0, ''), /not understood/],
    ['names of kilobytes', names(100, 'x'.repeat(2000)), /not understood/],
    ['names', names(1000, 'name'), /more than 20000 entries/],
    ['success', (id: number) => status(id, 0), /not understood/],
  ])('that lists %s', async (_, lie, message) => {
    const files = await with_(REQUEST.READDIR, lie);
    await expect(files.readdir('/', 20_000)).rejects.toThrow(message);
  });

  it.each([
    ['single bytes', (id: number) => packet(REPLY.DATA, id, text('x')), /not understood/],
    [
      'whole parts',
      (id: number) => packet(REPLY.DATA, id, text('x'.repeat(131_072))),
      /larger than 67108864/,
    ],
    ['nothing', (id: number) => packet(REPLY.DATA, id, text('')), /not understood/],
    [
      'more than was asked for',
      (id: number) => packet(REPLY.DATA, id, text('x'.repeat(200_000))),
      /not understood/,
    ],
  ])('that reads %s', async (_, lie, message) => {
    const files = await with_(REQUEST.READ, lie);
    const before = process.memoryUsage().rss;
    await expect(files.read('/', 64 * MIB, () => Promise.resolve())).rejects.toThrow(message);
    expect(process.memoryUsage().rss - before).toBeLessThan(200 * MIB);
  });

  it('that is just in time with each answer ends when its time for a file is up', async () => {
    const { ours, theirs } = await connection();
    const read = { directory: false };
    serveFiles(
      theirs,
      (answer) => void setTimeout(() => theirs.write(answer), 80),
      (type, id, body) => (type === REQUEST.READDIR ? names(1, 'name')(id) : honest(type, id, body, read)),
    );
    const files = new SftpClient(ours, { silence: 1, file: 1 });
    await files.start();
    await expect(files.readdir('/', 20_000)).rejects.toThrow(/more than 1 s for a file/);
  });

  it('that writes whatever it likes is read no further', async () => {
    const { ours, theirs } = await connection();
    const files = new SftpClient(ours, PATIENCE);
    const garbage = Buffer.alloc(MIB, 0xff);
    const flood = (): void => void (theirs.destroyed || theirs.write(garbage, flood));
    flood();
    await expect(files.start()).rejects.toThrow(ApplianceError);
    const before = process.memoryUsage().rss;
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(process.memoryUsage().rss - before).toBeLessThan(100 * MIB);
  });
});

const GREETING = `lifeboat appliance ${PROTOCOL} 6.1.0\n`;
/** An agent that answers every command by these outputs. */
function serveCommands(
  theirs: Socket,
  send: (answer: Buffer) => void,
  outputs: (command: string) => [string, string],
): void {
  let received = '';
  send(Buffer.from(GREETING));
  theirs.on('data', (data: Buffer) => {
    received += data.toString('latin1');
    for (let end = received.indexOf('\n'); end >= 0; end = received.indexOf('\n')) {
      const [out, err] = outputs(received.slice(0, end));
      const number = Number.parseInt(received, 10);
      received = received.slice(end + 1);
      send(Buffer.from(`${number} 0 ${out.length} ${err.length}\n${out}${err}`, 'latin1'));
    }
  });
}

it(
  'an agent that lies, says nothing, or is gone',
  async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(treatment, { maxLength: 8 }), async (treatments) => {
        const { ours, theirs } = await connection();
        const control = new ControlPort(ours);
        serveCommands(theirs, sender(theirs, treatments), () => ['out', 'err']);
        await judged(() => control.greeting(PATIENCE.silence));
        for (let command = 0; command < 4; command++) {
          const answer = await judged(() => control.run(['/bin/true', 'a b\n\\'], PATIENCE.silence, 1000));
          expect((answer?.stdout.length ?? 0) + (answer?.stderr.length ?? 0)).toBeLessThanOrEqual(2000);
        }
        ours.destroy();
        theirs.destroy();
      }),
      inputs(SHARE),
    );
  },
  inputsMs(SHARE * 5),
);

it.each([
  ['a line without end', '1 0 ', /not understood/],
  ['more than was allowed', '1 0 5000 0\n', /not understood/],
  ['the answer to another command', '2 0 0 0\n', /not understood/],
  ['an answer in parts that never ends', '1 0 900 0\nxxx', /does not answer/],
])('an agent that writes %s', async (_, answer, message) => {
  const { ours, theirs } = await connection();
  const control = new ControlPort(ours);
  theirs.write(GREETING);
  await control.greeting(5);
  const command = control.run(['/bin/true'], 0.5, 1000);
  const flood = (): void => void (theirs.destroyed || theirs.write('x'.repeat(MIB), flood));
  theirs.write(answer, answer.endsWith('1 0 ') ? flood : undefined);
  await expect(command).rejects.toThrow(message);
  // The first error stays; nobody waits for anything any more.
  await expect(control.run(['/bin/true'], 60)).rejects.toThrow(message);
});

it(
  'an appliance that says anything of its volumes',
  async () => {
    const line = fc.oneof(
      fc
        .tuple(fc.constantFrom('DEVNAME', 'TYPE', 'UUID', 'LABEL', 'PARTUUID', 'PARTLABEL'), oddText)
        .map((pair) => pair.join('=')),
      fc.constantFrom(
        'DEVNAME=/dev/nvme0n1',
        'DEVNAME=/dev/mapper/a-b',
        'TYPE=xfs',
        '',
        'LABEL=\\',
        `a/b/${'x'.repeat(38)}/${'y'.repeat(38)}`,
      ),
      oddText,
    );
    const name = fc.oneof(
      oddText,
      fc
        .tuple(
          fc.constantFrom('UUID=', 'LABEL=', 'PARTLABEL=', '/dev/disk/by-id/', '/dev/mapper/', '/dev/'),
          oddText,
        )
        .map((pair) => pair.join('')),
    );
    const { ours, theirs } = await connection();
    const control = new ControlPort(ours);
    let said = '';
    serveCommands(
      theirs,
      (answer) => theirs.write(answer),
      () => [said, ''],
    );
    await control.greeting(5);
    const run = (...command: Parameters<ControlPort['run']>) => control.run(...command);
    await fc.assert(
      fc.asyncProperty(fc.array(line, { maxLength: 60 }), name, async (lines, wanted) => {
        said = Buffer.from(lines.join('\n'), 'latin1').toString('latin1');
        const volumes = await judged(() => readVolumes({ run } as unknown as Appliance, 'with LVM'));
        for (const { device } of volumes ?? []) expect(device).toMatch(/^\/dev\/[\w./+:@-]+$/);
        await judged(() => Promise.resolve(findVolume(volumes ?? [], wanted)));
      }),
      inputs(),
    );
  },
  inputsMs(),
);
