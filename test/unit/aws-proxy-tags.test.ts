import fc from 'fast-check';
import { clientToken } from '../../activities/aws-proxy/account/client-token';
import {
  BadTagsError,
  COPY_SNAPSHOT_FIELDS,
  diskOf,
  diskValues,
  INSTANCE_FIELDS,
  readCopySnapshot,
  readInstance,
  readRecoveredVolume,
  readTags,
  requireTags,
  tagFilters,
  tagKey,
  tagList,
} from '../../activities/aws-proxy/account/tags';

const copy = {
  plan: 'shop',
  vm: 'db',
  run: '0199-run',
  role: 'dr-copy',
  disk: 'system',
  sizeBytes: 3_221_226_496,
  slot: 0,
  boot: true,
  diskCount: 2,
  recoveryPoint: '20261123T101500Z-0199',
  takenAt: '2026-11-23T10:15:00Z',
  attempt: 1,
  blockMap: 'a'.repeat(64),
} as const;

describe('tags', () => {
  it('are read back as they were written', () => {
    expect(readCopySnapshot(tagList(copy))).toEqual(copy);
    expect(diskOf(copy)).toEqual({ key: 'system', sizeBytes: 3_221_226_496, slot: 0, boot: true });
    expect(diskValues(diskOf(copy))).toMatchObject({ disk: 'system', boot: true });
    expect(tagFilters({ plan: 'shop' })).toEqual([{ Name: 'tag:lifeboat:plan', Values: ['shop'] }]);
  });

  it.each(COPY_SNAPSHOT_FIELDS.filter((field) => field !== 'controller'))(
    'count for nothing without %s',
    (field) => {
      expect(readCopySnapshot(tagList(copy).filter(({ Key }) => Key !== tagKey(field)))).toBeUndefined();
    },
  );

  it.each([
    ['sizeBytes', '100'],
    ['sizeBytes', '513'],
    ['sizeBytes', '1e12'],
    ['sizeBytes', '-512'],
    ['sizeBytes', ' 512'],
    ['sizeBytes', '0512'],
    ['sizeBytes', '99999999999999999999'],
    ['slot', '1.5'],
    ['boot', 'TRUE'],
    ['boot', ''],
    ['disk', '../../etc'],
    ['vm', 'db\n'],
    ['plan', 'Shop'],
    ['run', 'a b'],
    ['recoveryPoint', '../x'],
    ['takenAt', 'yesterday'],
    ['blockMap', 'A'.repeat(64)],
    ['role', 'root'],
    ['role', 'shell'],
  ] as const)('count for nothing with %s = %j', (field, text) => {
    const tags = tagList(copy).map((tag) => (tag.Key === tagKey(field) ? { ...tag, Value: text } : tag));
    expect(readCopySnapshot(tags)).toBeUndefined();
  });

  it('tell the controller of a disk that has one, and are none where it cannot be', () => {
    const disk = { ...diskOf(copy), controller: { kind: 'lsisas' as const, bus: 3 } };
    const tags = tagList({ ...copy, ...diskValues(disk) });
    expect(tags).toContainEqual({ Key: 'lifeboat:controller', Value: 'lsisas:3' });
    expect(diskOf(readCopySnapshot(tags)!)).toEqual(disk);
    for (const Value of ['', 'lsisas', 'lsisas:4', 'ide:0', 'pvscsi:-1', 'pvscsi:0 '])
      expect(readCopySnapshot([...tagList(copy), { Key: 'lifeboat:controller', Value }])).toBeUndefined();
  });

  it('survive whatever text stands in them', () => {
    fc.assert(
      fc.property(fc.constantFrom(...COPY_SNAPSHOT_FIELDS), fc.string(), (field, text) => {
        const tags = tagList(copy).map((tag) => (tag.Key === tagKey(field) ? { ...tag, Value: text } : tag));
        const read = readCopySnapshot(tags);
        // What is accepted is what its builder would write again.
        if (read !== undefined) expect(tagList(read)).toEqual(expect.arrayContaining(tags));
      }),
    );
  });

  it('name the resource and the tag where they have to be right', () => {
    expect(() => requireTags('vol-1', [], ['plan'])).toThrow('The tag lifeboat:plan of vol-1 is missing.');
    const tags = [{ Key: 'lifeboat:slot', Value: 'x'.repeat(500) }];
    expect(() => requireTags('vol-1', tags, ['slot'])).toThrow(BadTagsError);
    expect(() => requireTags('vol-1', tags, ['slot'])).toThrow(/cannot be "x{80}"\.$/);
    expect(requireTags('vol-1', tagList(copy), ['slot'])).toEqual({ slot: 0 });
  });

  it('are not written when they could not be read', () => {
    expect(() => tagList({ vm: 'Bad Name' })).toThrow(BadTagsError);
    expect(() => tagList({ sizeBytes: 511 })).toThrow(BadTagsError);
    expect(tagList({ vm: 'db', run: undefined })).toEqual([{ Key: 'lifeboat:vm', Value: 'db' }]);
  });

  it('tell instances and volumes of failovers from all others', () => {
    const volume = { ...copy, role: 'recovery' } as const;
    expect(readRecoveredVolume(tagList(volume))?.disk).toBe('system');
    expect(readRecoveredVolume(tagList(copy))).toBeUndefined();
    const instance = {
      plan: 'shop',
      vm: 'db',
      run: 'r',
      role: 'test',
      recoveryPoint: 'p',
      attempt: 1,
      publicAddress: false,
    } as const;
    expect(readInstance(tagList(instance))).toEqual(instance);
    expect(readInstance(tagList({ ...instance, role: 'shell' }))).toBeUndefined();
    expect(readTags(undefined, INSTANCE_FIELDS)).toBeUndefined();
  });
});

describe('clientToken', () => {
  const parts = { runId: 'r', vm: 'db', disk: 'system', attempt: 1, call: 'CreateVolume' };

  it('is as long as AWS allows, and the same for the same call', () => {
    expect(clientToken(parts)).toMatch(/^[0-9a-f]{64}$/);
    expect(clientToken({ ...parts })).toBe(clientToken(parts));
  });

  it('differs where any part differs, and however the parts are cut', () => {
    const tokens = [
      parts,
      { ...parts, runId: 'r2' },
      { ...parts, vm: 'web' },
      { ...parts, disk: 'data' },
      { ...parts, disk: undefined },
      { ...parts, attempt: 2 },
      { ...parts, attempt: undefined },
      { ...parts, call: 'RunInstances' },
      { ...parts, runId: 'r","db', vm: '' },
    ].map(clientToken);
    expect(new Set(tokens).size).toBe(tokens.length);
  });
});
