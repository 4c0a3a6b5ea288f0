import { writeFileSync } from 'node:fs';
import { loadPlanFile, PlanError } from '../../plan/load';
import { normalizedPlanSchema } from '../../plan/normalized';
import { GOOD_PLAN, planFolder } from './plan-file';

let folder: ReturnType<typeof planFolder>;
beforeEach(() => (folder = planFolder()));
afterEach(() => folder.remove());

const TOPIC = 'arn:aws:sns:eu-central-1:123456789012:lifeboat';
const load = async (notify: string) => {
  writeFileSync(folder.file, `${GOOD_PLAN}${notify}\n`);
  return (await loadPlanFile(folder.file)).plan;
};
async function problemOf(notify: string): Promise<string> {
  const error: unknown = await load(notify).catch((cause: unknown) => cause);
  if (!(error instanceof PlanError)) throw new Error(`no PlanError, but ${String(error)}`);
  return error.message.replace(`${folder.directory}/`, '');
}

it('a plan says who is told of what, and for how long a test is good', async () => {
  const plan = await load(`objectives: { testEvery: 90d }
notify:
  - webhook: { url: 'https://ops.example/lifeboat?team=1', secret: ops }
    on: [needs-attention, run-ended]
  - webhook: { url: 'http://127.0.0.1:8080/', secret: here }
  - webhook: { url: 'http://ops.corp.example/', secret: ops, allowHttp: true }
  - sns: { topicArn: ${TOPIC} }`);
  expect(plan.objectives).toEqual({ testEvery: 90 * 86_400 });
  expect(plan.notify?.map(({ webhook, sns, on }) => [webhook?.secret ?? sns?.topicArn, on])).toEqual([
    ['ops', ['needs-attention', 'run-ended']],
    ['here', undefined],
    ['ops', undefined],
    [TOPIC, undefined],
  ]);
  expect(normalizedPlanSchema.parse(JSON.parse(JSON.stringify(plan)))).toEqual(plan);
});

it.each([
  ['notify: []', /notify: needs at least 1 entry/],
  ['notify: [{}]', /notify\[0\]: needs either webhook or sns/],
  [
    `notify: [{ webhook: { url: 'https://a.example', secret: a }, sns: { topicArn: '${TOPIC}' } }]`,
    /needs either/,
  ],
  ["notify: [{ webhook: { url: 'https://a.example' } }]", /notify\[0\]\.webhook\.secret: is missing/],
  [
    "notify: [{ webhook: { url: 'https://a.example', secret: whsec_MfKQ9 } }]",
    /secret: must be the name of a secret/,
  ],
  [
    "notify: [{ webhook: { url: 'ftp://a.example', secret: a } }]",
    /webhook\.url: must be an address like https/,
  ],
  ["notify: [{ webhook: { url: 'http://a.example', secret: a } }]", /url: must begin with https.*allowHttp/],
  ["notify: [{ webhook: { url: 'https://me:pw@a.example', secret: a } }]", /url: must not have a user/],
  [
    "notify: [{ webhook: { url: 'https://169.254.169.254/', secret: a } }]",
    /url: must not lead to a link-local/,
  ],
  ["notify: [{ webhook: { url: 'https://2852039166/', secret: a } }]", /url: must not lead to a link-local/],
  ["notify: [{ webhook: { url: 'https://a.example/#x', secret: a } }]", /url: must not have a "#/],
  ["notify: [{ sns: { topicArn: 'arn:aws:sqs:eu-central-1:123456789012:q' } }]", /topicArn: must be the ARN/],
  ["notify: [{ sns: { topicArn: 'arn:aws:sns:eu-central-1:123456789012:x.fifo' } }]", /a standard topic/],
  [`notify: [{ sns: { topicArn: '${TOPIC}' }, on: [run-end] }]`, /on\[0\].*did you mean "run-ended"/i],
  [`notify: [{ sns: { topicArn: '${TOPIC}' }, on: [not-ready, not-ready] }]`, /on\[1\].*listed twice/],
  [`notify: [{ sns: { topicArn: '${TOPIC}' } }, { sns: { topicArn: '${TOPIC}' } }]`, /notify\[1\].*twice/],
  ['objectives: { testEvery: 400d }', /objectives\.testEvery: must be at most 366d/],
])('%s is refused at its field', async (notify, problem) => {
  expect(await problemOf(notify)).toMatch(problem);
});
