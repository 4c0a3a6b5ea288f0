import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { requestEnvelope } from '../../hypervisor/vsphere/vim/envelope';
import { METHODS } from '../../hypervisor/vsphere/vim/schema';
import { REQUESTS } from './vim-requests';

/** A python that has pyVmomi, VMware's own client, which shares no code with ours. */
const python = process.env.LIFEBOAT_PYTHON;
const test = python === undefined ? it.skip : it;

const execute = promisify(execFile);

interface Compared {
  method: string;
  differences: string[];
}

/** What differs between our requests and pyVmomi's for the same calls. */
function compare(requests: object[]): Promise<Compared[]> {
  return new Promise((resolve, reject) => {
    const checking = execFile(
      python ?? '',
      [join(__dirname, 'vim_xml_check.py')],
      { maxBuffer: 16 * 1024 * 1024 },
      (error, stdout, stderr) =>
        error ? reject(new Error(stderr)) : resolve(JSON.parse(stdout) as Compared[]),
    );
    checking.stdin?.end(JSON.stringify(requests));
  });
}

describe('our requests and those of pyVmomi (skipped without LIFEBOAT_PYTHON)', () => {
  const ours = REQUESTS.map((request) => ({
    ...request,
    xml: requestEnvelope(request.method, request.self, request.args),
  }));

  it('cover every method of the schema', () => {
    expect([...new Set(REQUESTS.map(({ method }) => method))].sort()).toEqual(Object.keys(METHODS).sort());
  });

  test('are the same, element for element', async () => {
    const compared = await compare(ours);
    expect(compared.map(({ method }) => method)).toEqual(REQUESTS.map(({ method }) => method));
    expect(compared.filter(({ differences }) => differences.length > 0)).toEqual([]);
  });

  test('are made from a schema that is what the generator writes', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'lifeboat-schema-'));
    try {
      const written = join(directory, 'schema.ts');
      const vim = join(__dirname, '../../hypervisor/vsphere/vim');
      await execute(python ?? '', [join(vim, 'schema-generator.py'), written]);
      // Outside of the project, prettier does not find its settings by itself.
      const root = join(__dirname, '../..');
      const prettier = join(root, 'node_modules/prettier/bin/prettier.cjs');
      await execute(process.execPath, [
        prettier,
        '--config',
        join(root, '.prettierrc.json'),
        '--write',
        written,
      ]);
      expect(await readFile(written, 'utf8')).toBe(await readFile(join(vim, 'schema.ts'), 'utf8'));
    } finally {
      await rm(directory, { recursive: true });
    }
  });

  test('differ where one of ours is changed', async () => {
    const [create] = ours.filter(({ method }) => method === 'CreateVM_Task');
    const changed = (from: RegExp, to: string) => ({ ...create, xml: create!.xml.replace(from, to) });
    const compared = await compare([
      changed(/(<guestId>.*?<\/guestId>)(<annotation>.*?<\/annotation>)/su, '$2$1'),
      changed(/ xsi:type="ParaVirtualSCSIController"/, ''),
      changed(/<memoryMB>4096</, '<memoryMB>4097<'),
      changed(/xmlns="urn:vim25"/, 'xmlns="urn:vim26"'),
    ]);
    expect(compared.map(({ differences }) => differences.length > 0)).toEqual([true, true, true, true]);
  });
});
