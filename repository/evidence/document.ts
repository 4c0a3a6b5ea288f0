import { z } from 'zod';

/**
 * The evidence document of a run: what an auditor is shown. Published as `docs/evidence.schema.json`. Whatever a run does not know is
 * null, which reads "not recorded", and never a guess.
 */

/** Longest text that is kept of an error, a note or what a person has said. */
export const LONGEST_TEXT = 2000;

const text = z.string().max(LONGEST_TEXT).meta({ id: 'text' });
const time = z.iso.datetime().meta({ id: 'time', description: 'ISO 8601, UTC' });
const sha256 = z
  .string()
  .regex(/^[0-9a-f]{64}$/)
  .meta({ id: 'sha256', description: 'lower-case hex' });
const seconds = z.number().meta({ id: 'seconds' });
const object = z.strictObject;

const objective = object({
  objectiveSeconds: seconds.nullable().describe('null: the plan has no such objective'),
  measuredSeconds: seconds.nullable(),
  verdict: z.enum(['met', 'missed', 'no objective', 'not measured']),
});

const step = object({
  vm: text.nullable().describe('null: of the run as a whole'),
  step: text.describe("the activity's name"),
  label: text,
  from: time.describe('when it was asked for'),
  to: time.nullable().describe('null: not ended when the document was written'),
  tries: z.int().min(0).describe('0: no worker had begun it'),
  outcome: z.enum(['done', 'failed', 'timed out', 'cancelled', 'unfinished']),
  error: text.nullable().describe('of the last try that failed, also where a later one succeeded'),
  worker: text.nullable().describe('who did it, as Temporal knows the worker'),
});

const disk = object({
  key: text,
  sizeBytes: z.number().nullable(),
  snapshotId: text.nullable(),
});

const recoveryPoint = object({
  backupId: text,
  takenAt: time.nullable(),
  ageSeconds: seconds.nullable().describe("from the recovery point to the run's start"),
  consistency: text.nullable(),
  dataBlocks: z
    .number()
    .nullable()
    .describe('blocks of 512 KiB with data in the backup, each kept with its SHA-256'),
  disks: z.array(disk),
  launchCopySnapshots: z.array(text),
});

const picture = object({
  key: text.describe('in the backup repository, below its prefix'),
  sha256: sha256.nullable().describe('null: it could not be read when the document was written'),
  inPage: z.boolean().describe('whether the page holds it'),
});

const vm = object({
  vm: text,
  tier: z.int().nullable().describe('of the start order, the first being 1'),
  dependsOn: z.array(text),
  optional: z.boolean(),
  outcome: z.enum(['up', 'left out', 'not up']),
  leftOut: object({
    why: text,
    by: text.nullable(),
    at: time.nullable(),
    notRemoved: text.nullable(),
  }).nullable(),
  wanted: object({ instanceTypes: z.array(text), subnets: z.array(text), securityGroups: z.array(text) }),
  instance: object({
    id: text,
    type: text.nullable(),
    availabilityZone: text.nullable(),
    privateAddress: text.nullable(),
    publicAddress: text.nullable(),
    launchedBy: text.nullable(),
  }).nullable(),
  capacityFallbacks: z.array(
    object({ at: time, instanceType: text.nullable(), subnet: text.nullable(), error: text }),
  ),
  recoveryPoint: recoveryPoint.nullable(),
  probe: object({
    asked: z.array(text),
    answered: z.boolean(),
    at: time.nullable(),
    seconds: seconds.nullable().describe('that it took to answer'),
    tries: z.int(),
    error: text.nullable(),
  }).nullable(),
  readyAt: time.nullable(),
  bootScripts: z.array(
    object({
      name: text,
      sha256: sha256.nullable(),
      status: z.union([z.int(), z.literal('unknown')]),
      reason: text.nullable(),
    }),
  ),
  bootProof: object({
    takenAt: time,
    ready: z.boolean().describe('false: taken when the VM had not answered in time'),
    statusChecks: object({ system: text, instance: text }).nullable(),
    screenshot: picture.nullable(),
    output: picture.nullable(),
  }).nullable(),
  copies: z.array(
    object({ step: text, disk: text.nullable(), blocks: z.number(), bytes: z.number(), seconds }),
  ),
  warnings: z.array(text),
});

const hook = object({
  at: text.describe('place in the run, such as afterVmReady'),
  index: z.int().min(0).describe("in the plan's list of hooks"),
  vm: text.nullable(),
  what: text.describe("the program's name, or method and URL without its query"),
  required: z.boolean(),
  ok: z.boolean().nullable().describe('null: it had not ended'),
  status: z.int().nullable().describe('exit status or HTTP status; null: it came to none'),
  reason: text.nullable().describe('why it counts as failed'),
  output: text.describe(
    'the end of what it printed, or of the answer; what looks like a secret is taken out',
  ),
  startedAt: time,
  seconds: seconds.nullable(),
});

const person = object({
  what: text.describe('such as approve, retry, pause, skip, cancel'),
  at: time,
  by: text.nullable().describe('as the person said it; nobody proves who they are'),
  why: text.nullable(),
  of: text.nullable().describe('what was decided on'),
  sentBy: text.nullable().describe('the client that sent it, as Temporal knows it'),
  awsCaller: text
    .nullable()
    .optional()
    .describe('ARN by which AWS knew the credentials of the command that sent it, as that command said'),
  authenticatedAs: text
    .nullable()
    .optional()
    .describe('as whom the Temporal server authenticated who sent it; null where it tells of nobody'),
});

const finding = object({
  code: text,
  severity: text,
  vm: text.nullable(),
  text,
  todo: text.nullable(),
  since: time.nullable(),
});

const names = z.array(object({ name: text, values: z.array(text) }));

export const evidenceSchema = object({
  schemaVersion: z.literal(1),
  chain: object({
    sequence: z.int().min(1).describe("of the plan's documents, without a gap"),
    previous: sha256.nullable().describe("of the bytes of the plan's document before; null in the first"),
  }),
  page: object({ key: text, sha256 }).describe('the HTML page that was made of this document'),
  writtenAt: time,
  plan: object({
    name: text,
    digest: sha256,
    lastTest: object({ runId: text, endedAt: time, samePlan: z.boolean() })
      .nullable()
      .describe(
        'the completed test failover before this run, and whether it was of this version of the plan',
      ),
  }),
  run: object({
    runId: text,
    workflowId: text,
    kind: z.enum(['test failover', 'failover', 'planned failover', 'failback', 'undo']),
    scenario: text,
    startedAt: time,
    endedAt: time,
    seconds,
    clock: text,
    historyEvents: z.int().describe('of the run alone, when this was written'),
  }),
  outcome: object({
    ended: z.enum(['completed', 'failed', 'cancelled']),
    failure: text.nullable(),
    notes: z.array(text),
  }),
  objectives: object({
    verdict: z.enum(['met', 'missed', 'no objective', 'not measured']),
    rpo: objective,
    rto: objective,
    downtimeSeconds: seconds.nullable(),
  }),
  people: object({
    askedBy: object({
      client: text.nullable().describe('as Temporal knows it; not authenticated'),
      by: text.nullable().optional().describe('the name that the command said; nobody proves who they are'),
      awsCaller: text
        .nullable()
        .optional()
        .describe('ARN by which AWS knew the credentials of the command, as that command said'),
      authenticatedAs: text
        .nullable()
        .optional()
        .describe('as whom the Temporal server authenticated who started it; null where it tells of nobody'),
      at: time,
      options: z.array(text),
    }),
    decisions: z.array(person),
    signOff: z.null().describe('a sign-off is a document of its own, after this one in the chain'),
  }),
  site: object({
    region: text,
    subnets: z.array(text),
    securityGroups: z.array(text),
    kmsKey: text.nullable(),
    repository: text,
  }),
  vms: z.array(vm),
  timeline: z.array(step),
  dns: object({
    hostedZone: text,
    changed: z.boolean().nullable(),
    before: names.nullable(),
    after: names.nullable(),
    proof: text.nullable().describe('what the answers of name servers, or two looks at the zone, have shown'),
  })
    .nullable()
    .describe('null: the plan has no DNS records'),
  integrity: object({
    statement: text,
    dataBlocks: z.number().nullable().describe('of all recovery points'),
    copiedBlocks: z.number().nullable().describe('written by this run; null where it copied none itself'),
  }),
  hooks: z
    .array(hook)
    .optional()
    .describe(
      'what each hook of the plan answered, each time that it ran; absent from documents of before it was told',
    ),
  preflight: object({
    passed: z.boolean().nullable(),
    notes: z.array(text),
    failure: text.nullable(),
    lastCheck: object({
      at: time,
      verdict: text,
      samePlan: z.boolean(),
      findings: z.array(finding),
    }).nullable(),
  }),
  resources: object({
    made: z.array(object({ kind: text, id: text, vm: text.nullable() })),
    removed: z.array(text),
    leftovers: z
      .array(text)
      .nullable()
      .describe('null where what the run made is to stay, or its removal was not proven'),
    statement: text,
  }),
  cost: object({ usd: z.number(), basis: text }).nullable(),
  deviations: z.array(
    object({ vm: text.nullable(), what: text, cause: text.nullable(), at: time.nullable() }),
  ),
  versions: object({
    lifeboat: text.describe('of the control worker that wrote this'),
    temporalSdk: z.array(text),
    awsProxy: text.nullable(),
    backupProxy: text.nullable(),
    proxiesAsOf: time.nullable().describe("the standing check's time, which asked them"),
  }),
  nextTestDue: time.nullable(),
});

export type Evidence = z.output<typeof evidenceSchema>;
export type EvidenceVm = Evidence['vms'][number];
export type EvidenceStep = Evidence['timeline'][number];
/** What a run tells; the chain adds its place, and the page. */
export type EvidenceFacts = Omit<Evidence, 'chain' | 'page' | 'writtenAt'>;

/** The schema as it is published: `docs/evidence.schema.json`. */
export function evidenceJsonSchema(): object {
  return {
    title: 'Lifeboat evidence document',
    description: 'What null stands for is not recorded.',
    ...z.toJSONSchema(evidenceSchema),
  };
}
