import { z } from 'zod';
import { LONGEST_TEXT } from './document';

/**
 * That somebody has looked at a run's document and stands for what it says: a document of its own in the chain, after the one that it
 * signs, whose bytes it names by their SHA-256. Published as `docs/sign-off.schema.json`.
 */

const text = z.string().max(LONGEST_TEXT);
const sha256 = z.string().regex(/^[0-9a-f]{64}$/);
const object = z.strictObject;

export const signOffSchema = object({
  schemaVersion: z.literal(1),
  kind: z.literal('sign-off'),
  chain: object({
    sequence: z.int().min(1).describe("of the plan's documents, without a gap"),
    previous: sha256.describe("of the bytes of the plan's document before"),
  }),
  page: object({ key: text, sha256 }).describe('the HTML page that was made of this document'),
  writtenAt: z.iso.datetime(),
  plan: object({ name: text, digest: sha256.describe('version of the plan that the signed run was of') }),
  signs: object({
    sequence: z.int().min(1),
    runId: text,
    kind: text,
    ended: text,
    verdict: text,
    sha256: sha256.describe("of the signed document's bytes"),
  }),
  by: text.min(1).describe('as the person said it; nobody proves who they are'),
  remark: text.min(1),
  osUser: text.describe('user@host, as the operating system knew who gave the command'),
  awsCaller: text
    .nullable()
    .describe(
      'ARN by which AWS knew the credentials of the command, as that command said; null: AWS did not say',
    ),
});

export type SignOff = z.output<typeof signOffSchema>;
/** What the signer tells; the chain adds its place, and the page. */
export type SignOffFacts = Omit<
  SignOff,
  'chain' | 'page' | 'writtenAt' | 'plan' | 'signs' | 'schemaVersion' | 'kind'
>;

/** The schema as it is published: `docs/sign-off.schema.json`. */
export function signOffJsonSchema(): object {
  return { title: 'Lifeboat sign-off of an evidence document', ...z.toJSONSchema(signOffSchema) };
}
