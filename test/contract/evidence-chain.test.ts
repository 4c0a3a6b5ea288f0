import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { runCli } from '../../cli/program';
import {
  addEvidence,
  documentKey,
  indexKey,
  listEvidence,
  readEvidence,
} from '../../repository/evidence/chain';
import { type EvidenceFacts } from '../../repository/evidence/document';
import { verifyEvidence } from '../../repository/evidence/verify';
import { collect } from '../../repository/upkeep/collection';
import { type ObjectStore } from '../../repository/objects/object-store';
import { pruneConsoles } from '../../repository/plans/consoles';
import { publishPlan } from '../../repository/plans/plans';
import { evidenceOfHistory } from '../support/evidence';
import { collected } from '../support/collected';
import { recordedRun } from '../support/recorded-run';
import { testIo } from '../unit/cli-io';
import { planFolder } from '../unit/plan-file';
import { shopPlan, startTestAccount, type TestAccount } from './test-account';

const AT = '2026-11-30T12:00:00.000Z';

/** On the endpoint's S3, with its conditional writes. */
describe('the chain of a plan’s evidence', () => {
  let account: TestAccount;
  let store: ObjectStore;
  let prefix: string;
  let facts: EvidenceFacts;

  beforeAll(async () => {
    account = await startTestAccount();
    facts = evidenceOfHistory(await recordedRun('failover-test'));
  });
  afterAll(() => account.close());
  beforeEach(() => {
    // A prefix of its own for every test: a repository that nothing was ever written to.
    const repository = account.newRepository();
    store = repository.store;
    ({ prefix } = repository.address);
  });

  const of = (runId: string, plan = 'shop'): EvidenceFacts => ({
    ...facts,
    plan: { ...facts.plan, name: plan },
    run: { ...facts.run, runId },
  });
  const add = (runId: string, to: ObjectStore = store, plan = 'shop') =>
    addEvidence(to, of(runId, plan), ({ chain }) => `<p>page of ${runId}, ${chain.sequence}</p>`, AT);
  const three = async () => {
    for (const runId of ['first', 'second', 'third']) await add(runId);
  };
  const keys = async () => (await collected(store.list('evidence/'))).map(({ key }) => key);
  const faults = async () => (await verifyEvidence(store, 'shop')).faults;
  const bodyOf = async (key: string) => (await store.get(key))!.body.toString();

  it('names the document before by its digest, and verifies', async () => {
    await three();
    const documents = await listEvidence(store, 'shop');
    expect(documents.map(({ sequence, runId }) => [sequence, runId])).toEqual([
      [1, 'first'],
      [2, 'second'],
      [3, 'third'],
    ]);
    const third = await readEvidence(store, 'shop', 3);
    expect(third.evidence.chain).toEqual({ sequence: 3, previous: documents[1]?.sha256 });
    expect(await verifyEvidence(store, 'shop')).toEqual({
      ...{ plan: 'shop', documents: 3, signOffs: [], faults: [] },
      head: third.sha256,
    });
    expect((await verifyEvidence(store, 'shop', documents[0]?.sha256)).faults).toEqual([]);
    expect((await verifyEvidence(store, 'shop', '0'.repeat(64))).faults).toMatchObject([
      { problem: expect.stringContaining('kept elsewhere') as string },
    ]);
    expect(await verifyEvidence(store, 'other')).toEqual({
      plan: 'other',
      documents: 0,
      head: null,
      signOffs: [],
      faults: [],
    });
  });

  it('has no branches and loses none where many write at one time, some of them twice', async () => {
    // Fewer than the tries that each has: whoever loses, loses to a write of another.
    const runs = ['a', 'b', 'c'];
    const written = await Promise.all([...runs, ...runs].map((runId) => add(runId)));
    expect(new Set(written.map(({ sequence }) => sequence))).toEqual(new Set([1, 2, 3]));
    for (const runId of runs)
      expect(new Set(written.filter((one) => one.runId === runId).map(({ sha256 }) => sha256)).size).toBe(1);
    expect((await listEvidence(store, 'shop')).map(({ runId }) => runId).sort()).toEqual(runs);
    expect(await verifyEvidence(store, 'shop')).toMatchObject({ documents: 3, faults: [] });
  });

  it('gives a run that comes late the document that it has', async () => {
    await three();
    const before = await keys();
    expect(await add('first')).toMatchObject({ sequence: 1, runId: 'first' });
    expect(await keys()).toEqual(before);
  });

  it('goes on from a writer that died before the index', async () => {
    await add('first');
    const dying: ObjectStore = {
      ...store,
      putIfUnchanged: () => Promise.reject(new Error('The worker died.')),
    };
    await expect(add('second', dying)).rejects.toThrow('The worker died.');
    expect(await faults()).toMatchObject([{ key: documentKey('shop', 2) }]);
    expect((await listEvidence(store, 'shop')).map(({ runId }) => runId)).toEqual(['first', 'second']);
    // Its next try, and whoever comes next, find it.
    expect(await add('second')).toMatchObject({ sequence: 2 });
    expect(await add('third')).toMatchObject({ sequence: 3 });
    expect(await verifyEvidence(store, 'shop')).toMatchObject({ documents: 3, faults: [] });
  });

  it.each([
    ['a changed word', (body: string) => body.replace('completed', 'cancelled'), [2, 3]],
    ['a changed space', (body: string) => `${body} `, [2, 3]],
    ['what is no document', () => '{}', [2, 3]],
  ])('finds a document that was changed (%s)', async (_what, change, named) => {
    await three();
    const key = documentKey('shop', 2);
    await store.put(key, Buffer.from(change(await bodyOf(key))));
    const found = await faults();
    expect(found.some(({ key: of, problem }) => of === key && problem.includes('was changed'))).toBe(true);
    // The one after it does not follow from it any more.
    for (const sequence of named)
      expect(found.some(({ key: of }) => of === documentKey('shop', sequence))).toBe(true);
  });

  it.each([1, 2, 3])('finds that document %d was removed', async (sequence) => {
    await three();
    await store.delete(documentKey('shop', sequence));
    expect(await faults()).toContainEqual({ key: documentKey('shop', sequence), problem: 'is missing.' });
  });

  it('finds a document that was changed with its entry in the index', async () => {
    await three();
    const { sha256 } = await readEvidence(store, 'shop', 2);
    const key = documentKey('shop', 2);
    await store.put(key, Buffer.from((await bodyOf(key)).replace('"second"', '"forged"')));
    const forged = await readEvidence(store, 'shop', 2);
    const index = (await bodyOf(indexKey('shop')))
      .replace(sha256, forged.sha256)
      .replace('"second"', '"forged"');
    await store.put(indexKey('shop'), Buffer.from(index));
    expect(await faults()).toEqual([
      {
        key: documentKey('shop', 3),
        problem: expect.stringContaining('does not follow from the document before it') as string,
      },
    ]);
  });

  it('finds a forged document at the end, a changed page, an index that is gone, and what is no evidence', async () => {
    await three();
    const { evidence, sha256 } = await readEvidence(store, 'shop', 3);
    const forged = {
      ...evidence,
      chain: { sequence: 4, previous: sha256 },
      run: { ...evidence.run, runId: 'x' },
    };
    await store.put(documentKey('shop', 4), Buffer.from(JSON.stringify(forged)));
    expect(await faults()).toMatchObject([
      { key: documentKey('shop', 4), problem: expect.stringContaining('not in the index') as string },
    ]);
    await store.delete(documentKey('shop', 4));
    await store.put(evidence.page.key, Buffer.from('<p>all went well</p>'));
    expect(await faults()).toMatchObject([{ key: evidence.page.key }]);
    await store.delete(evidence.page.key);
    expect(await faults()).toEqual([{ key: evidence.page.key, problem: 'it is missing.' }]);
    await store.put(evidence.page.key, Buffer.from('<p>page of third, 3</p>'));
    expect(await faults()).toEqual([]);
    await store.put('evidence/shop/00000099.json', Buffer.from(JSON.stringify(evidence)));
    expect((await faults()).map(({ key }) => key)).toEqual(
      expect.arrayContaining([documentKey('shop', 4), documentKey('shop', 99)]),
    );
    await store.delete('evidence/shop/00000099.json');
    await store.put('evidence/shop/notes.txt', Buffer.from('x'));
    expect(await faults()).toEqual([{ key: 'evidence/shop/notes.txt', problem: 'belongs to no document.' }]);
    await store.delete('evidence/shop/notes.txt');
    await store.delete(indexKey('shop'));
    expect(await faults()).toContainEqual({
      key: indexKey('shop'),
      problem: 'is missing, though there are documents.',
    });
  });

  it('is deleted by no collection of backups, whatever VMs and plans are called', async () => {
    for (const plan of ['shop', 'backups', 'packs', 'maps']) await add('run', store, plan);
    const before = await keys();
    expect(before).toHaveLength(12);
    const later: ObjectStore = {
      ...store,
      // All of it is years old.
      async *list(prefix) {
        for await (const object of store.list(prefix))
          yield prefix.startsWith('evidence/') ? { ...object, modified: new Date('2020-01-01') } : object;
      },
    };
    for (const vm of ['evidence', 'shop', 'db'])
      await collect({
        ...{ store: later, vm, sweep: 'now', dryRun: false, signal: new AbortController().signal },
        policies: [{ keepLast: 1, keepDaily: 0, keepWeekly: 0, keepMonthly: 0 }],
        heldBackups: () => Promise.resolve(new Set<string>()),
        beforeChange: () => Promise.resolve(),
      });
    await pruneConsoles(store, 'shop', 'evidence');
    expect(await keys()).toEqual(expect.arrayContaining(before));
    for (const plan of ['shop', 'backups'])
      expect(await verifyEvidence(store, plan)).toMatchObject({ documents: 1, faults: [] });
  });

  describe('as the command "evidence"', () => {
    const folder = planFolder();
    afterAll(() => folder.remove());

    async function cli(...argv: string[]) {
      const before = { ...process.env };
      const { bucket, region, endpoint } = account.repository;
      Object.assign(process.env, {
        ...{ AWS_ENDPOINT_URL: endpoint, AWS_REGION: region },
        LIFEBOAT_REPOSITORY: `s3://${bucket}/${prefix}`,
      });
      try {
        await publishPlan(store, shopPlan(), []);
        const world = testIo(process.env, folder.directory);
        const exitCode = await runCli(['evidence', ...argv], world.io);
        return { exitCode, out: world.out, err: world.err, json: () => world.json };
      } finally {
        process.env = before;
      }
    }

    it('lists and shows documents, and writes a page', async () => {
      expect(await cli('list', 'shop')).toMatchObject({
        exitCode: 0,
        out: 'No run of the plan shop has left evidence.\n',
      });
      await three();
      expect((await cli('list', 'shop')).out).toMatch(/│ 1 +│ first +│ test failover .*\n│ 2 .*\n│ 3 /);
      expect((await cli('list', 'shop', '--json')).json()).toMatchObject({
        ...{ command: 'evidence list', ok: true, plan: 'shop' },
        documents: [{ sequence: 1, key: 'evidence/shop/00000001.json' }, {}, {}],
      });
      const last = await cli('show', 'shop', '--html', 'page.html');
      expect(last.out).toMatch(
        /^test failover of shop, run third: completed\n[\s\S]*Its page is in page\.html\.\n$/,
      );
      expect(readFileSync(join(folder.directory, 'page.html'), 'utf8')).toBe('<p>page of third, 3</p>');
      for (const which of ['second', '2'])
        expect((await cli('show', 'shop', which, '--json')).json()).toMatchObject({
          ...{ command: 'evidence show', ok: true, html: null },
          evidence: { chain: { sequence: 2 }, run: { runId: 'second' } },
        });
      expect(await cli('show', 'shop', 'nobody')).toMatchObject({
        exitCode: 2,
        err: expect.stringContaining('has no evidence of the run "nobody"') as string,
      });
    });

    it('signs a document of a run, which shows and verifies, and tells what was signed then', async () => {
      await three();
      const { sha256 } = await readEvidence(store, 'shop', 2);
      const signed = await cli(
        'sign',
        'shop',
        '2',
        '--by',
        'Ada',
        '--remark',
        'password=hunter2 <b>fine</b>',
        '--json',
      );
      expect(signed.err).toBe('');
      expect(signed.json()).toMatchObject({
        ...{ command: 'evidence sign', ok: true, document: documentKey('shop', 4) },
        signOff: {
          ...{ kind: 'sign-off', by: 'Ada', chain: { sequence: 4 }, remark: 'password=… <b>fine</b>' },
          signs: { sequence: 2, runId: 'second', sha256, kind: 'test failover' },
          awsCaller: expect.stringMatching(/^arn:aws:/) as string,
          osUser: expect.stringMatching(/.@./) as string,
        },
      });
      expect((await cli('list', 'shop')).out).toMatch(/│ 4 +│ sign-off of 2 +│ sign-off/);
      // The last run's is signed where none is named, and the last run's is shown.
      expect((await cli('sign', 'shop', '--remark', 'too')).out).toMatch(/of number 3 with the SHA-256/);
      expect((await cli('show', 'shop')).out).toMatch(
        /^test failover of shop, run third.*\n[^]*\nSigned off at .*: too\n/,
      );
      expect((await cli('show', 'shop', '2', '--json')).json()).toMatchObject({ signOffs: [{ by: 'Ada' }] });
      expect((await cli('show', 'shop', '1', '--json')).json()).toMatchObject({ signOffs: [] });
      const page = await cli('show', 'shop', '4', '--html', 'sign-off.html');
      expect(page.out).toMatch(/^Signed off at .* by Ada \(claimed; user .*, AWS credentials of arn:aws:iam/);
      const html = readFileSync(join(folder.directory, 'sign-off.html'), 'utf8');
      expect(html).toContain(sha256);
      expect(html).toContain('&lt;b&gt;fine');
      expect((await cli('verify', 'shop')).out).toMatch(
        /^5 documents of shop: each is there.*\nNumber 2 is signed by Ada \(claimed\), at .*: number 4\.\n/,
      );
      for (const wrong of [
        ['4', '--remark', 'x'],
        ['nobody', '--remark', 'x'],
        ['2', '--remark', 'a\nb'],
        ['2', '--remark', ' '],
      ])
        expect((await cli('sign', 'shop', ...wrong)).exitCode).toBe(2);

      // A run goes on after it, and finds its own document again.
      await add('fourth');
      expect((await add('second')).sequence).toBe(2);
      // Who writes the signed document anew, and the index with it, has what was signed against them.
      const body = (await bodyOf(documentKey('shop', 2))).replace('"completed"', '"cancelled"');
      await store.put(documentKey('shop', 2), Buffer.from(body));
      expect(await faults()).toContainEqual({
        ...{ key: documentKey('shop', 4), problem: 'signs another document than number 2 is.' },
      });
    });

    it('verifies, and names what is wrong', async () => {
      await three();
      const good = await cli('verify', 'shop', '--json');
      expect(good.exitCode).toBe(0);
      const { head } = good.json() as { head: string };
      expect(await cli('verify', 'shop', '--head', head)).toMatchObject({
        exitCode: 0,
        out: expect.stringMatching(/^3 documents of shop: each is there/) as string,
      });
      expect((await cli('verify', 'shop', '--head', '0'.repeat(64))).exitCode).toBe(1);
      expect((await cli('verify', 'shop', '--head', 'x')).exitCode).toBe(2);
      await store.delete(documentKey('shop', 2));
      const broken = await cli('verify', 'shop');
      expect(broken.exitCode).toBe(1);
      expect(broken.out).toMatch(/^evidence\/shop\/00000002\.json is missing\.\n/);
      expect((await cli('verify', 'shop', '--json')).json()).toMatchObject({
        ok: false,
        faults: expect.arrayContaining([{ key: documentKey('shop', 2), problem: 'is missing.' }]) as unknown,
      });
    });
  });
});
