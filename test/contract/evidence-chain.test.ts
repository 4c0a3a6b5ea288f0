import { addEvidence, documentKey, indexKey, listEvidence, readEvidence } from '../../repository/evidence/chain';
import { type EvidenceFacts } from '../../repository/evidence/document';
import { verifyEvidence } from '../../repository/evidence/verify';
import { collect } from '../../repository/upkeep/collection';
import { type ObjectStore } from '../../repository/objects/object-store';
import { pruneConsoles } from '../../repository/plans/consoles';
import { evidenceOfHistory } from '../support/evidence';
import { collected } from '../support/collected';
import { recordedRun } from '../support/recorded-run';
import { startTestAccount, type TestAccount } from './test-account';

const AT = '2026-11-30T12:00:00.000Z';

/** On the endpoint's S3, with its conditional writes. */
describe('the chain of a plan’s evidence', () => {
  let account: TestAccount;
  let store: ObjectStore;
  let facts: EvidenceFacts;

  beforeAll(async () => {
    account = await startTestAccount();
    facts = evidenceOfHistory(await recordedRun('failover-test'));
  });
  afterAll(() => account.close());
  beforeEach(() => {
    // A prefix of its own for every test: a repository that nothing was ever written to.
    store = account.newRepository().store;
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
      ...{ plan: 'shop', documents: 3, faults: [] },
      head: third.sha256,
    });
    expect((await verifyEvidence(store, 'shop', documents[0]?.sha256)).faults).toEqual([]);
    expect((await verifyEvidence(store, 'shop', '0'.repeat(64))).faults).toMatchObject([
      { problem: expect.stringContaining('kept elsewhere') as string },
    ]);
    expect(await verifyEvidence(store, 'other')).toEqual({ plan: 'other', documents: 0, head: null, faults: [] });
  });

  it('has no branches and loses none where many write at one time, some of them twice', async () => {
    const runs = ['a', 'b', 'c', 'd', 'e', 'f'];
    const written = await Promise.all([...runs, ...runs].map((runId) => add(runId)));
    expect(new Set(written.map(({ sequence }) => sequence))).toEqual(new Set([1, 2, 3, 4, 5, 6]));
    for (const runId of runs)
      expect(new Set(written.filter((one) => one.runId === runId).map(({ sha256 }) => sha256)).size).toBe(1);
    expect((await listEvidence(store, 'shop')).map(({ runId }) => runId).sort()).toEqual(runs);
    expect(await verifyEvidence(store, 'shop')).toMatchObject({ documents: 6, faults: [] });
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
    const index = (await bodyOf(indexKey('shop'))).replace(sha256, forged.sha256).replace('"second"', '"forged"');
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
    const forged = { ...evidence, chain: { sequence: 4, previous: sha256 }, run: { ...evidence.run, runId: 'x' } };
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
});
