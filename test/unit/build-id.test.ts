import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { lifeboatVersion } from '../../host/version';
import { buildId } from '../../workers/build-id';
import { VERSIONED_BUNDLE } from '../../workers/bundle-name';

const MAP = '//# sourceMappingURL=data:application/json;base64,';

describe('what a control worker is called by', () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'lifeboat-build-'));
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  const idOf = (bundle: string): string => {
    writeFileSync(join(directory, VERSIONED_BUNDLE), bundle);
    return buildId(directory);
  };

  it('is the version and a digest of the workflows, the same wherever they were built', () => {
    const id = idOf(`backup();\n${MAP}b25lIGZvbGRlcg==`);
    expect(id).toMatch(/^\d+\.\d+\.\d+\+[0-9a-f]{12}$/);
    expect(idOf(`backup();\n${MAP}YW5vdGhlciBmb2xkZXI=`)).toBe(id);
  });

  it('differs where the workflows do, whatever looks like the end of them', () => {
    const ids = ['backup();', 'restore();', `backup();\n${MAP}\nrestore();`].map((code) =>
      idOf(`${code}\n${MAP}`),
    );
    expect(new Set(ids).size).toBe(3);
  });

  it('is the version alone where nothing is built', () => {
    expect(buildId(directory)).toBe(lifeboatVersion());
  });
});
