import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { parse, stringify } from 'yaml';
import { loadPlanFile, PlanError } from '../../plan/load';
import { planDigest } from '../../repository/plans/plans';
import { GOOD_PLAN, planFolder } from '../unit/plan-file';
import { change, inputs, inputsMs, oddText, withChange } from './inputs';

let folder: ReturnType<typeof planFolder>;
beforeAll(() => {
  folder = planFolder();
});
afterAll(() => folder.remove());

/** A plan that loads is one that everything after it can rely on; anything else is one clear sentence. */
async function judged(text: string | Buffer): Promise<void> {
  writeFileSync(folder.file, text);
  const began = performance.now();
  try {
    const { plan } = await loadPlanFile(folder.file);
    expect(plan.name).toMatch(/^[a-z][a-z0-9-]{0,39}$/);
    expect(plan.vms.length).toBeGreaterThan(0);
    const names = plan.vms.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    for (const { dependsOn } of plan.vms) for (const name of dependsOn) expect(names).toContain(name);
    expect(planDigest(plan)).toMatch(/^[0-9a-f]{64}$/);
  } catch (error) {
    if (!(error instanceof PlanError)) throw error;
    expect(error.message).toContain('plan.yaml');
    // One line, whatever was in the file.
    expect(error.message).not.toMatch(/[\p{Cc}\u202a-\u202e]/u);
    expect(error.message.length).toBeLessThanOrEqual(4000);
  }
  expect(performance.now() - began).toBeLessThan(5000);
}

describe('a hostile plan file', () => {
  it(
    'with a field that is missing or another value',
    async () => {
      const good: unknown = parse(GOOD_PLAN);
      await fc.assert(
        fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 3 }), async (changes) => {
          const value = changes.reduce((plan, one) => withChange(plan, one.at, one.change), good);
          await judged(stringify(value, { aliasDuplicateObjects: false }));
        }),
        inputs(),
      );
    },
    inputsMs(),
  );

  it(
    'with lines that are other text',
    async () => {
      const lines = GOOD_PLAN.split('\n');
      await fc.assert(
        fc.asyncProperty(fc.nat(lines.length - 1), oddText, fc.boolean(), async (n, text, keepKey) => {
          const changed = [...lines];
          changed[n] = keepKey ? `${(lines[n] ?? '').split(':')[0]}: ${text}` : text;
          await judged(changed.join('\n'));
        }),
        inputs(),
      );
    },
    inputsMs(),
  );

  it(
    'of any bytes',
    async () => {
      await fc.assert(
        fc.asyncProperty(fc.uint8Array({ maxLength: 3000 }), (bytes) => judged(Buffer.from(bytes))),
        inputs(),
      );
    },
    inputsMs(),
  );

  it.each([
    [
      'aliases that grow without end',
      `a: &a [x,x,x,x,x,x,x,x,x]\n${'bcdefghij'
        .split('')
        .map((l, n) => `${l}: &${l} [${Array(9).fill(`*${'abcdefghij'[n]}`).join(',')}]`)
        .join('\n')}\n`,
    ],
    ['an alias of itself', 'name: &a [*a]\n'],
    ['brackets without end', '['.repeat(50_000)],
    ['braces without end', '{a: '.repeat(20_000)],
    ['indents without end', Array.from({ length: 3000 }, (_, n) => `${' '.repeat(n)}a:`).join('\n')],
    ['two megabytes of text', `name: ${'x'.repeat(2 * 2 ** 20)}\n`],
    ['a tag that makes objects', 'name: !!js/function "function () {}"\n'],
    ['a prototype', `__proto__: { polluted: true }\n${GOOD_PLAN}`],
    ['a merge key', `<<: { name: x }\n${GOOD_PLAN}`],
    [
      'ten thousand VMs',
      GOOD_PLAN.replace(
        'vms:\n',
        `vms:\n${Array.from({ length: 10_000 }, (_, n) => `  - { name: v${n} }\n`).join('')}`,
      ),
    ],
  ])(
    'with %s',
    async (_, text) => {
      await judged(text);
      expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
    },
    30_000,
  );

  it.each([
    ['/etc/passwd', 'a path from the root'],
    ['../outside.sh', 'a path that leads out'],
    ['link.sh', 'a link that leads out'],
    ['fifo', 'what is no file'],
    ['.', 'a directory'],
    ['hello.sh\u0000', 'a NUL'],
    ['huge.sh', 'more than any script has'],
  ])('whose boot script is %j (%s)', async (script) => {
    const home = mkdtempSync(join(tmpdir(), 'lifeboat-hostile-'));
    try {
      const plans = join(home, 'plans');
      mkdirSync(plans);
      writeFileSync(join(home, 'outside.sh'), '#!/bin/sh\necho secret-canary\n');
      symlinkSync('../outside.sh', join(plans, 'link.sh'));
      writeFileSync(join(plans, 'huge.sh'), Buffer.alloc(20 * 2 ** 20, '#'));
      const file = join(plans, 'plan.yaml');
      writeFileSync(file, GOOD_PLAN.replace('hello.sh', JSON.stringify(script)));
      const error: unknown = await loadPlanFile(file).catch((caught: unknown) => caught);
      expect(error).toBeInstanceOf(PlanError);
      expect(String(error)).not.toContain('secret-canary');
    } finally {
      rmSync(home, { recursive: true });
    }
  });
});
