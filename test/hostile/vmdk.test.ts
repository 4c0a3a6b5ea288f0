import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import { toolOutput } from '../../host/run-tool';
import { checkImage } from '../../hypervisor/local/images/image-check';
import { DiskImageError } from '../../hypervisor/local/images/image-error';
import { imageForQemu } from '../../hypervisor/local/images/qemu-image';
import { descriptor } from '../contract/placed-vm';
import { damage, damaged, inputs, inputsMs, oddText, thoughtOf } from './inputs';

/** An image that is opened by QEMU takes a twentieth of a second. */
const SHARE = 0.2;
const SECTORS = 64;

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'hostile-vmdk-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

/** A name that a file beside its descriptor can have. */
const fileName = fc
  .oneof(
    fc.string({ minLength: 1, maxLength: 30, unit: 'binary' }),
    fc.string({ minLength: 1, maxLength: 30 }),
  )
  .filter(
    (name) => !/[/\p{Cc}\p{Cs}]/u.test(name) && !/^\.{1,2}$/.test(name) && Buffer.byteLength(name) < 200,
  );

/** What may stand between lines, and stand for nothing. */
const between = fc.constantFrom(
  '',
  '\n',
  '\n\n',
  ' \t\n',
  '# RW 8 FLAT "x" 0\n',
  '#\n',
  'ddb.x = "RW 1 FLAT"\n',
  '\r\n',
);
const gap = fc.constantFrom(' ', '  ', '\t');

const part = fc.record({
  name: fileName,
  sectors: fc.integer({ min: 1, max: SECTORS }),
  offset: fc.integer({ min: 0, max: 9 }),
  kind: fc.constantFrom('RW', 'RW', 'RDONLY', 'ZERO'),
  before: between,
  gap,
  end: fc.constantFrom('\n', '\r\n', ' \n'),
});

describe("a VMDK's descriptor", () => {
  it(
    'is read by QEMU as by us, whatever its parts are called and whatever stands between',
    async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.uniqueArray(part, { minLength: 1, maxLength: 5, selector: ({ name }) => name.toLowerCase() }),
          async (parts) => {
            const home = await mkdtemp(join(directory, 'vm-'));
            const expected: Buffer[] = [];
            let text = '# Disk DescriptorFile\nCID=12345678\nparentCID=ffffffff\ncreateType="custom"\n';
            for (const { name, sectors, offset, kind, before, gap: blank, end } of parts) {
              text += before;
              if (kind === 'ZERO') {
                expected.push(Buffer.alloc(sectors * 512));
                text += ['RW', sectors, 'ZERO'].join(blank) + end;
                continue;
              }
              const bytes = randomBytes(sectors * 512);
              expected.push(bytes);
              await writeFile(
                join(home, `${name}`),
                Buffer.concat([Buffer.alloc(offset * 512, 0x55), bytes]),
              );
              text += [kind, sectors, 'FLAT', `"${name}"`, offset].join(blank) + end;
            }
            const path = join(home, 'the disk.vmdk');
            await writeFile(path, text);
            const whole = Buffer.concat(expected);
            const checked = await checkImage({ path, format: 'vmdk' }, whole.length);
            const opened = await imageForQemu({ path, format: 'vmdk' }, checked, join(home, 'parts\n'));
            const raw = join(directory, 'read.raw');
            const { format: driver, path: filename } = opened;
            const source = `json:${JSON.stringify({ driver, file: { driver: 'file', filename } })}`;
            await toolOutput('qemu-img', ['convert', '-O', 'raw', source, raw]);
            expect((await readFile(raw)).equals(whole)).toBe(true);
          },
        ),
        inputs(SHARE),
      );
    },
    inputsMs(SHARE),
  );

  it(
    'of any bytes is refused in words, or is a disk of files beside it',
    async () => {
      const home = join(directory, 'vm');
      await mkdir(home);
      await writeFile(join(directory, 'secret'), Buffer.alloc(SECTORS * 512, 0x55));
      await writeFile(join(home, 'web-flat.vmdk'), Buffer.alloc(SECTORS * 512));
      const path = join(home, 'web.vmdk');
      const good = descriptor([`RW ${SECTORS} FLAT "web-flat.vmdk" 0`]);
      const bytes = fc.oneof(
        damage.map((how) => damaged(Buffer.from(good), how)),
        oddText.map((name) => Buffer.from(good.replace('web-flat.vmdk', () => name))),
        oddText.map((value) => Buffer.from(good.replace('UTF-8', () => value))),
        fc
          .constantFrom('../secret', '/etc/shadow', join(directory, 'secret'))
          .map((name) => Buffer.from(good.replace('web-flat.vmdk', name))),
        fc.tuple(oddText, oddText).map(([key, value]) => Buffer.from(`${key}=${value}\n${good}`)),
        fc.uint8Array({ maxLength: 2000 }).map((some) => Buffer.from(some)),
      );
      await fc.assert(
        fc.asyncProperty(bytes, async (text) => {
          await writeFile(path, text);
          let files: string[] = [];
          const error = await thoughtOf(async () => {
            ({ files } = await checkImage({ path, format: 'vmdk' }, SECTORS * 512));
          });
          if (error === undefined) for (const file of files) expect(dirname(file)).toBe(home);
          else {
            expect(error).toBeInstanceOf(DiskImageError);
            // A sentence of what is and one of what to do, on one line that a terminal only prints.
            expect(error.message).toMatch(/ cannot be used: .+\. [A-Z].+\.$/);
            expect(error.message).not.toMatch(/\p{Cc}/u);
          }
        }),
        inputs(),
      );
    },
    inputsMs(),
  );

  it(
    "of a snapshot's delta keeps the old disk from being read, however it is damaged",
    async () => {
      const path = join(directory, 'web.vmdk');
      await writeFile(path, descriptor([`RW ${SECTORS} VMFS "web-flat.vmdk"`], { cid: '7d3a1b2c' }));
      await writeFile(join(directory, 'web-flat.vmdk'), Buffer.alloc(SECTORS * 512));
      await checkImage({ path, format: 'vmdk' }, SECTORS * 512);
      const delta = descriptor([`RW ${SECTORS} SESPARSE "web-000001-sesparse.vmdk"`], {
        parentCid: '7d3a1b2c',
        hint: 'web.vmdk',
        kind: 'seSparse',
      });
      await fc.assert(
        fc.asyncProperty(damage, async (how) => {
          await writeFile(join(directory, 'web-000001.vmdk'), damaged(Buffer.from(delta), how));
          const error = await thoughtOf(() => checkImage({ path, format: 'vmdk' }, SECTORS * 512));
          expect(error).toBeInstanceOf(DiskImageError);
          expect(error?.message).toContain('open snapshot');
        }),
        inputs(),
      );
    },
    inputsMs(),
  );

  it(
    'is not kept from being read by odd files beside it, nor made to fail by them',
    async () => {
      const path = join(directory, 'web.vmdk');
      await writeFile(path, descriptor([`RW ${SECTORS} VMFS "web-flat.vmdk"`], { cid: '7d3a1b2c' }));
      await writeFile(join(directory, 'web-flat.vmdk'), Buffer.alloc(SECTORS * 512));
      await fc.assert(
        fc.asyncProperty(
          fileName.filter((name) => !/^web(-flat)?\.vmdk$/i.test(name)),
          fc.constantFrom('', '.vmdk', '.vmx', '.vmsd', '.qcow2'),
          fc.oneof(
            fc.uint8Array({ maxLength: 700 }).map((some) => Buffer.from(some)),
            oddText.map((text) => Buffer.from(text)),
          ),
          fc.constantFrom('', 'KDMV', 'COWD', 'QFI\xfb', '# Disk DescriptorFile\n'),
          async (name, ending, bytes, start) => {
            const beside = join(directory, `${name}${ending}`);
            await writeFile(beside, Buffer.concat([Buffer.from(start, 'latin1'), bytes]));
            await checkImage({ path, format: 'vmdk' }, SECTORS * 512);
            await rm(beside);
          },
        ),
        inputs(),
      );
    },
    inputsMs(),
  );
});
