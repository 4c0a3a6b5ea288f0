import { readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { FAULTS_FILE, type FaultRule, STRUCK_FILE } from './rule';

const fault = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('error'),
    code: z.string().min(1),
    message: z.string().optional(),
    status: z.number().int().min(400).max(599).optional(),
    carriedOut: z.boolean().optional(),
  }),
  z.strictObject({ kind: z.literal('reset'), carriedOut: z.boolean().optional() }),
  z.strictObject({ kind: z.literal('slow'), milliseconds: z.number().min(0) }),
  z.strictObject({ kind: z.literal('throttle'), perSecond: z.number().positive(), burst: z.number().min(1) }),
  z.strictObject({ kind: z.literal('eventual-consistency'), seconds: z.number().min(0) }),
  z.strictObject({ kind: z.literal('resource-error') }),
  z.strictObject({ kind: z.literal('stuck'), seconds: z.number().min(0) }),
  z.strictObject({ kind: z.literal('damaged-answer'), how: z.enum(['altered', 'short']) }),
]);

const rule = z.strictObject({
  name: z.string().min(1),
  operations: z.array(z.string()).optional(),
  services: z.array(z.string()).optional(),
  matches: z.string().optional(),
  probability: z.number().min(0).max(1).optional(),
  seed: z.number().int().optional(),
  skip: z.number().int().min(0).optional(),
  times: z.number().int().min(0).optional(),
  fault,
});

const file = z
  .strictObject({ rules: z.array(rule) })
  .refine(({ rules }) => new Set(rules.map(({ name }) => name)).size === rules.length, {
    message: 'every rule needs a name of its own',
  });

/**
 * The rules in an endpoint's directory, as they are at present, and how often each has struck. Strikes are written
 * down before they take effect, so that a rule which is to strike twice strikes twice, whoever is killed between.
 */
export class RuleFile {
  private readonly path: string;
  private readonly struckPath: string;
  private version = '';
  private rules: readonly FaultRule[] = [];
  private struck: Record<string, number>;

  constructor(
    directory: string,
    private readonly log: (message: string, error: unknown) => void,
  ) {
    this.path = join(directory, FAULTS_FILE);
    this.struckPath = join(directory, STRUCK_FILE);
    this.struck = readStruck(this.struckPath);
  }

  /** The rules now. A file that cannot be understood is told once, and those before it stay. */
  current(): readonly FaultRule[] {
    const stat = statSync(this.path, { throwIfNoEntry: false });
    const version = stat === undefined ? '' : `${stat.mtimeMs} ${stat.size} ${stat.ino}`;
    if (version === this.version) return this.rules;
    this.version = version;
    try {
      this.rules =
        stat === undefined
          ? []
          : (file.parse(JSON.parse(readFileSync(this.path, 'utf8'))).rules as FaultRule[]);
    } catch (error) {
      this.log(`${this.path} has no rules for faults in it`, error);
    }
    return this.rules;
  }

  strikes(name: string): number {
    return Object.hasOwn(this.struck, name) ? (this.struck[name] ?? 0) : 0;
  }

  /** Writes down that a rule strikes. */
  strike(name: string): void {
    this.struck = { ...this.struck, [name]: this.strikes(name) + 1 };
    writeFileSync(`${this.struckPath}.new`, JSON.stringify(this.struck));
    renameSync(`${this.struckPath}.new`, this.struckPath);
  }
}

function readStruck(path: string): Record<string, number> {
  try {
    return z.record(z.string(), z.number().int()).parse(JSON.parse(readFileSync(path, 'utf8')));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {};
    throw error;
  }
}
