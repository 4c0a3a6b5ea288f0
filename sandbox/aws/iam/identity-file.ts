import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { type Identities } from './identities';

/** In the endpoint's directory: the account's {@link Identities}, as whoever administers it has them at present. */
export const IDENTITIES_FILE = 'identities.json';

const document = z.looseObject({ Statement: z.union([z.array(z.looseObject({})), z.looseObject({})]) });
const file = z.strictObject({
  users: z.array(
    z.strictObject({
      name: z.string().min(1),
      accessKeyId: z.string().min(1),
      secretAccessKey: z.string().min(1),
      policies: z.array(document),
    }),
  ),
  roles: z.array(
    z.strictObject({
      name: z.string().min(1),
      trust: document,
      policies: z.array(document),
      longestSession: z.number().int().positive().optional(),
    }),
  ),
});

const NONE: Identities = { users: [], roles: [] };

/** The file as it is at present: what is written to it holds from the next request on. */
export class IdentityFile {
  private readonly path: string;
  private version = '';
  private identities = NONE;

  constructor(
    directory: string,
    private readonly log: (message: string, error: unknown) => void,
  ) {
    this.path = join(directory, IDENTITIES_FILE);
  }

  current(): Identities {
    const { mtimeMs, size, ino } = statSync(this.path, { throwIfNoEntry: false }) ?? {};
    const version = `${mtimeMs} ${size} ${ino}`;
    if (version === this.version) return this.identities;
    this.version = version;
    try {
      // Statements are the evaluator's to judge.
      this.identities =
        mtimeMs === undefined
          ? NONE
          : (file.parse(JSON.parse(readFileSync(this.path, 'utf8'))) as unknown as Identities);
    } catch (error) {
      // Nobody keeps what a broken file may have taken away.
      this.identities = NONE;
      this.log(`${this.path} holds no identities`, error);
    }
    return this.identities;
  }
}
