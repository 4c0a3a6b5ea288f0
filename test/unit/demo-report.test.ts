import { leaveOtherSites } from '../../sandbox/demo/environment';
import { type DemoReport, emptyReport, reportTable } from '../../sandbox/demo/report';
import { narration } from '../../sandbox/demo/narration';
import { StepFailedError, Steps } from '../../sandbox/demo/steps';
import { RunFailedError } from '../../client/errors';

describe("the demo's report", () => {
  it('claims nothing before anything was proved', () => {
    expect(emptyReport()).toEqual({
      ok: false,
      steps: [],
      rpoSeconds: null,
      rtoSeconds: null,
      orders: { afterFailover: [], afterFailback: [] },
      leftovers: [],
      evidence: null,
    });
  });

  it('is a table with a row a step and the two measures last', () => {
    const report: DemoReport = {
      ...emptyReport(),
      steps: [
        { name: 'order 1', seconds: 0.24, blocks: 0, bytes: 0 },
        { name: 'restore (full)', seconds: 12, blocks: 873, bytes: 873 * 524_288 },
      ],
      rpoSeconds: 42.5,
    };
    const rows = reportTable(report)
      .split('\n')
      .filter((line) => line.includes('│'))
      .map((line) =>
        line
          .split('│')
          .slice(1, -1)
          .map((cell) => cell.trim()),
      );
    expect(rows).toEqual([
      ['step', 'seconds', 'blocks', 'bytes'],
      ['order 1', '0.2', '', ''],
      ['restore (full)', '12.0', '873', '437 MiB'],
      ['RPO, as measured', '42.5', '', ''],
      ['RTO, as measured', 'not measured', '', ''],
    ]);
  });
});

describe('a step of the demo', () => {
  const quiet = { ...narration(true), begin() {}, end() {} };
  const stepsOf = (report: DemoReport, signal = new AbortController().signal) =>
    new Steps(report, quiet, signal);

  it('adds up the disks that it copied', async () => {
    const report = emptyReport();
    const copied = [
      { blocks: 3, bytes: 10 },
      { blocks: 4, bytes: 30 },
    ];
    await stepsOf(report).take('restore (full)', async () => ({ proof: '', copied }));
    expect(report.steps).toEqual([
      { name: 'restore (full)', seconds: expect.any(Number), blocks: 7, bytes: 40 },
    ]);
  });

  it('is in no report when it failed, and its error says which it was and where', async () => {
    const report = emptyReport();
    const failure = new RunFailedError('there is no such subnet', 'failed', {
      vm: 'web',
      step: 'launchShell',
    });
    const failed = stepsOf(report).take('failover', () => Promise.reject(failure));
    await expect(failed).rejects.toThrow(StepFailedError);
    await expect(failed).rejects.toThrow('failover: web, launchShell: there is no such subnet');
    expect(report.steps).toEqual([]);
  });

  it('does not begin after an interruption', async () => {
    const controller = new AbortController();
    controller.abort(new Error('broken off'));
    let begun = false;
    const taken = stepsOf(emptyReport(), controller.signal).take('commit', async () => {
      begun = true;
      return { proof: '' };
    });
    await expect(taken).rejects.toThrow('broken off');
    expect(begun).toBe(false);
  });
});

describe("the demo's environment", () => {
  it('leads to no site but the sandbox', () => {
    const env = {
      PATH: '/bin',
      AWS_PROFILE: 'production',
      AWS_ENDPOINT_URL_S3: 'https://s3.example',
      TEMPORAL_API_KEY: 'secret',
      LIFEBOAT_REPOSITORY: 's3://real',
      LIFEBOAT_DEBUG: '1',
    };
    leaveOtherSites(env);
    expect(env).toEqual({ PATH: '/bin', LIFEBOAT_DEBUG: '1' });
  });
});
