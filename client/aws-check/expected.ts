import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { projectRoot } from '../../host/project-root';
import { type Fact } from './answer';
import { type ExpectedAnswers } from './questions';

/** Where the sandbox's answers are kept; made by `npm run record-aws-answers`. */
export const EXPECTED_FILE = 'deploy/aws-check/sandbox-answers.json';

const fact: z.ZodType<Fact> = z.lazy(() =>
  z.union([z.string(), z.number(), z.boolean(), z.null(), z.array(fact)]),
);
const answer = z.strictObject({
  fields: z.array(z.string()).optional(),
  facts: z.record(z.string(), fact).optional(),
  error: z
    .strictObject({
      code: z.string(),
      status: z.number().optional(),
      reason: z.string().optional(),
      words: z.string(),
    })
    .optional(),
});

/** What the sandbox answers to each question. */
export function readExpected(): ExpectedAnswers {
  const text = readFileSync(join(projectRoot(), EXPECTED_FILE), 'utf8');
  return z.record(z.string(), answer).parse(JSON.parse(text)) as ExpectedAnswers;
}
