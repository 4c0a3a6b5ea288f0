import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSandboxConfig } from '../../sandbox/config';
import { claimSandbox, SandboxInUseError } from '../../sandbox/demo/previous-sandbox';

describe("the demo's claim to a sandbox directory", () => {
  let home: string;
  let directory: string;
  const said: string[] = [];
  const claim = () => claimSandbox(directory, (line) => said.push(line));

  beforeEach(async () => {
    home = await mkdtemp(join(tmpdir(), 'lifeboat-claim-'));
    directory = join(home, 'sandbox');
    said.length = 0;
  });
  afterEach(() => rm(home, { recursive: true, force: true }));

  it('takes an empty place without a word', async () => {
    await claim();
    expect(said).toEqual([]);
    expect(await readdir(directory)).toEqual(['made-by-demo.json']);
  });

  it("deletes an earlier demo's, and says so", async () => {
    await claim();
    await mkdir(join(directory, 'aws'));
    await claim();
    expect(said).toEqual(['deleting the sandbox of an earlier demo']);
    expect(await readdir(directory)).toEqual(['made-by-demo.json']);
  });

  it("puts somebody else's aside, with its data", async () => {
    await createSandboxConfig({ directory, application: 'none' });
    const config = await readFile(join(directory, 'config.json'), 'utf8');
    await claim();
    const [aside, ...others] = (await readdir(home)).filter((name) => name !== 'sandbox');
    expect(others).toEqual([]);
    expect(said).toEqual([expect.stringContaining(String(aside))]);
    expect(await readFile(join(home, String(aside), 'config.json'), 'utf8')).toBe(config);
    expect(await readdir(directory)).toEqual(['made-by-demo.json']);
  });

  it("refuses somebody else's that is up, and leaves it as it is", async () => {
    await mkdir(directory);
    await writeFile(join(directory, 'sandbox.json'), '{}');
    await expect(claim()).rejects.toThrow(SandboxInUseError);
    expect(await readdir(directory)).toEqual(['sandbox.json']);
  });
});
