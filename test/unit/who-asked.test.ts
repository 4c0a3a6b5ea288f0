import { createServer } from 'node:http';
import { type AddressInfo } from 'node:net';
import { temporal } from '@temporalio/proto';
import { defaultPayloadConverter } from '@temporalio/common';
import { loadDataConverter } from '@temporalio/common/lib/internal-non-workflow';
import { peopleOf } from '../../activities/control/evidence/people';
import { readHistory } from '../../activities/control/evidence/history';
import { type RunFacts } from '../../activities/control/evidence/run-facts';
import { approvalsText, askerText } from '../../cli/decision-text';
import { oneLine } from '../../cli/deciding';
import { runsText } from '../../cli/commands/status';
import { explainError } from '../../cli/explain-error';
import { awsCaller } from '../../client/caller';
import { askerOf } from '../../workflows/run/asker';
import { requireDeciding } from '../../workflows/run/decisions';
import { startTestAccount } from '../contract/test-account';

const ARN = 'arn:aws:sts::111122223333:assumed-role/dr/ada@example.com';
const AT = '2026-11-30T12:00:00.000Z';

describe('who asked for a run', () => {
  it('is what its argument says, where that is a line; else nobody, and no reason to refuse', () => {
    expect(askerOf({ askedBy: { by: 'ada@desk', as: ARN, more: 1 } })).toEqual({
      askedBy: { by: 'ada@desk', as: ARN },
    });
    expect(askerOf({ askedBy: { by: 'ada', as: 'two\nlines' } })).toEqual({ askedBy: { by: 'ada' } });
    for (const bad of [
      undefined,
      null,
      'ada',
      {},
      { askedBy: null },
      { askedBy: { by: 7 } },
      { askedBy: { by: '' } },
    ])
      expect(askerOf(bad)).toEqual({});
  });

  it('is told with what AWS and Temporal know', () => {
    expect(askerText({ by: 'ada', as: ARN, authenticatedAs: 'jwt:ada@example.com' })).toBe(
      `ada, to AWS ${ARN}, authenticated by Temporal as jwt:ada@example.com`,
    );
    // Of a run that nobody put a name to, such as one of the Web UI's.
    expect(askerText({ authenticatedAs: 'jwt:ada@example.com' })).toBe(
      'authenticated by Temporal as jwt:ada@example.com',
    );
    const decided = { gate: 'DNS', by: 'ada', why: 'it answers', at: AT, since: AT };
    expect(approvalsText([{ ...decided, as: ARN }])).toBe(
      `Approved: DNS, by ada, to AWS ${ARN} at ${AT} (it answers)\n`,
    );
    const run = {
      type: 'failover' as const,
      mode: undefined,
      workflowId: 'w',
      runId: 'r',
      status: undefined,
    };
    expect(runsText([{ ...run, askedBy: { by: 'ada', as: ARN } }], 'shop')).toContain(
      `asked for by ada, to AWS ${ARN}\n`,
    );
  });

  it('is one line at the terminal, or nothing is done', () => {
    expect(oneLine('Ada of the night shift')).toBe('Ada of the night shift');
    for (const bad of ['', '  ', 'two\nlines', 'bell\u0007', 'x'.repeat(501)])
      expect(() => oneLine(bad)).toThrow('It must be one line of at most 500 characters.');
  });

  it('is a line in decisions, too, where it is said', () => {
    const decision = { by: 'ada', why: 'so' };
    expect(() => requireDeciding({ ...decision, as: ARN }, '{}')).not.toThrow();
    expect(() => requireDeciding({ ...decision, as: 'x'.repeat(501) }, '{}')).toThrow(
      /as is missing, or is none/,
    );
  });
});

describe('as whom the server authenticated', () => {
  it('is read of the events that it stamped, and goes into the evidence beside what was said', async () => {
    const payload = (value: unknown) => ({ payloads: [defaultPayloadConverter.toPayload(value)!] });
    // As Temporal Server 1.31 writes it with its default authorizer, a JWT, and frontend.enablePrincipalPropagation.
    const principal = { type: 'jwt', name: 'ada@example.com' };
    const history = await readHistory(
      temporal.api.history.v1.History.create({
        events: [
          {
            ...{ eventTime: {}, principal },
            workflowExecutionStartedEventAttributes: {
              identity: 'lifeboat eve@desk',
              input: payload({ plan: 'shop', askedBy: { by: 'eve', as: ARN } }),
            },
          },
          {
            ...{ eventTime: {}, principal },
            workflowExecutionUpdateAcceptedEventAttributes: {
              acceptedRequest: {
                meta: { identity: 'lifeboat eve@desk' },
                input: { name: 'approve', args: payload({ dns: true, by: 'eve', why: 'so', as: ARN }) },
              },
            },
          },
          { eventTime: {}, workflowExecutionCancelRequestedEventAttributes: { identity: 'eve' } },
        ],
      }).events,
      loadDataConverter({}),
    );
    expect(history.startedAs).toBe('jwt:ada@example.com');
    const { decisions, askedBy } = peopleOf({ history: { run: history } } as RunFacts);
    expect(askedBy).toMatchObject({ by: 'eve', awsCaller: ARN, authenticatedAs: 'jwt:ada@example.com' });
    expect(decisions).toMatchObject([
      {
        what: 'approve',
        by: 'eve',
        awsCaller: ARN,
        sentBy: 'lifeboat eve@desk',
        authenticatedAs: 'jwt:ada@example.com',
      },
      { what: 'cancel', by: null, awsCaller: null, authenticatedAs: null },
    ]);
  });

  it('a refusal says that it is one', () => {
    const refused = Object.assign(new Error('7 PERMISSION_DENIED: Request unauthorized.'), {
      ...{ code: 7, details: 'Request unauthorized.', metadata: {} },
    });
    expect(explainError(refused).message).toMatch(
      /^Temporal does not let you do that: Request unauthorized\. /,
    );
  });
});

describe('whom AWS takes this process for', () => {
  it('is asked of STS; where it does not answer, nobody waits', async () => {
    const account = await startTestAccount();
    // Takes requests, and answers none.
    const silent = createServer(() => undefined);
    await new Promise<void>((up) => silent.listen(0, '127.0.0.1', up));
    try {
      process.env.AWS_ENDPOINT_URL = account.repository.endpoint;
      expect(await awsCaller('eu-central-1')).toMatch(/^arn:aws:/);
      process.env.AWS_ENDPOINT_URL = `http://127.0.0.1:${(silent.address() as AddressInfo).port}`;
      expect(await awsCaller('eu-central-1')).toBeUndefined();
    } finally {
      delete process.env.AWS_ENDPOINT_URL;
      silent.closeAllConnections();
      silent.close();
      await account.close();
    }
  }, 60_000);
});
