import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { runCli } from '../../cli/program';
import { type Finding } from '../../hypervisor/vsphere/findings';
import { describeWithVcenter, startVcenterSite, type VcenterSite } from './vcenter-site';

interface Answer {
  code: number;
  ok: boolean;
  findings: Finding[];
}

describeWithVcenter('lifeboat vsphere check', () => {
  let site: VcenterSite;
  beforeAll(async () => {
    site = await startVcenterSite();
  });
  afterAll(() => site.remove());

  async function check(args: string[] = [], settings: object = {}): Promise<Answer> {
    const file = join(site.directory, 'vsphere.yaml');
    await writeFile(file, stringify({ ...site.settings, ...settings }));
    let out = '';
    const code = await runCli(['vsphere', 'check', '--settings', file, '--json', ...args], {
      out: (text) => (out += text),
      err: () => undefined,
      stderrIsTty: false,
      env: { LIFEBOAT_STATE_DIRECTORY: join(site.directory, 'state') },
      cwd: site.directory,
      onInterrupt: () => () => undefined,
    });
    return { code, ...(JSON.parse(out) as Omit<Answer, 'code'>) };
  }
  const problems = ({ findings }: Answer): string[] =>
    findings.filter(({ level }) => level === 'problem').map(({ object, text }) => `${object}: ${text}`);

  it('finds nothing in the way, and does everything with a VM that it makes and removes', async () => {
    const answer = await check(['--with-a-test-vm']);
    console.log(answer.findings.map((f) => `${f.level} ${f.object}: ${f.text}`).join('\n'));
    expect(problems(answer)).toEqual([]);
    expect(answer).toMatchObject({ code: 0, ok: true });
    expect(answer.findings.map(({ text }) => text)).toEqual(
      expect.arrayContaining([
        expect.stringContaining('disk.EnableUUID is TRUE'),
        expect.stringContaining('areas in use are told'),
        expect.stringContaining('everything is removed again'),
      ]),
    );
    expect(await site.hypervisor().listVms()).toEqual(['backup-proxy']);
  });
});
