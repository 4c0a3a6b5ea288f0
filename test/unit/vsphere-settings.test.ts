import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { credentialsOf, readVsphereSettings } from '../../hypervisor/vsphere';
import { trustOf } from '../../hypervisor/vsphere/settings';

describe('the settings of a vCenter', () => {
  let directory: string;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'vsphere-settings-'));
  });
  afterAll(() => rm(directory, { recursive: true }));

  const file = async (content: string): Promise<string> => {
    const path = join(directory, 'settings.yaml');
    await writeFile(path, content);
    return path;
  };
  const problemOf = (work: () => unknown): string => {
    try {
      work();
    } catch (error) {
      return (error as Error).message;
    }
    return 'none';
  };

  it('are an address with a query, or a file', async () => {
    const address =
      'https://vcenter.example:8443/?datacenter=DC%201&folder=/DC%201/vm/DR&datastore=fast&controller=1&networks.VM%20Network=DR';
    const expected = {
      url: 'https://vcenter.example:8443/',
      datacenter: 'DC 1',
      folder: '/DC 1/vm/DR',
      datastore: 'fast',
      controller: 1,
      networks: { 'VM Network': 'DR' },
      devices: '/dev/disk/by-id',
    };
    expect(readVsphereSettings(address)).toEqual(expected);
    const yaml = `
url: https://vcenter.example:8443/
datacenter: DC 1
folder: /DC 1/vm/DR
datastore: fast
controller: 1
networks: { VM Network: DR }
`;
    expect(readVsphereSettings(await file(yaml))).toEqual(expected);
  });

  it.each([
    ['http://vcenter.example/', 'url must be the address of vCenter'],
    ['https://root:secret@vcenter.example/', 'url must not have a user'],
    ['https://vcenter.example/?datstore=x', 'datstore is not known here'],
    ['https://vcenter.example/?proxy=x', 'proxy must be a UUID'],
    ['https://vcenter.example/?controller=4', 'controller must be at most 3'],
    ['https://vcenter.example/?ca=/ca.pem&thumbprint=AB', 'thumbprint is one way to trust vCenter'],
  ])('refuse %s', (value, problem) => {
    expect(problemOf(() => readVsphereSettings(value))).toContain(problem);
  });

  it('name the file and the field that is wrong', async () => {
    const path = await file('url: https://vcenter.example\ndatacentre: DC1\n');
    expect(problemOf(() => readVsphereSettings(path))).toBe(
      `${path}: datacentre is not known here; did you mean "datacenter"?`,
    );
    expect(problemOf(() => readVsphereSettings(join(directory, 'none.yaml')))).toContain(
      'none.yaml: cannot be read',
    );
  });

  it('trust what is set, and the system’s authorities where nothing is', () => {
    const of = (query: string) => trustOf(readVsphereSettings(`https://vcenter.example/${query}`));
    expect([of('?ca=/ca.pem'), of('?thumbprint=AB:CD'), of('')]).toEqual([
      { ca: '/ca.pem' },
      { thumbprint: 'AB:CD' },
      { system: true },
    ]);
  });

  it('have their credentials beside them, and never tell a password', async () => {
    const credentials = join(directory, 'credentials.yaml');
    const settings = readVsphereSettings(`https://vcenter.example/?credentials=${credentials}`);
    const ask = credentialsOf(settings, {});
    await writeFile(credentials, 'user: dr@vsphere.local\npassword: first-secret\n');
    expect(await ask()).toEqual({ user: 'dr@vsphere.local', password: 'first-secret' });
    await writeFile(credentials, 'user: dr@vsphere.local\npassword: 12345678\n');
    await expect(ask()).rejects.toThrow('password must be text');
    for (const content of [
      'user: "dr\npassword: third-secret\n',
      '- third-secret\n',
      'password: [third-secret]\n',
    ]) {
      await writeFile(credentials, content);
      const problem = await ask().then(String, (error: Error) => error.message);
      expect(problem).toContain(credentials);
      expect(problem).not.toContain('secret');
    }
    const bare = readVsphereSettings('https://vcenter.example/');
    expect(problemOf(() => credentialsOf(bare, { LIFEBOAT_VSPHERE_USER: 'dr' }))).toContain(
      'LIFEBOAT_VSPHERE_PASSWORD',
    );
    expect(
      await credentialsOf(bare, { LIFEBOAT_VSPHERE_USER: 'dr', LIFEBOAT_VSPHERE_PASSWORD: 'x' })(),
    ).toEqual({ user: 'dr', password: 'x' });
  });
});
