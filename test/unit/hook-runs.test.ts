import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener, type Server } from 'node:http';
import { type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { createHookActivities } from '../../activities/hooks/activities';
import { type HookFacts, type HookResult } from '../../activities/hooks/contract';
import { type Hook } from '../../plan/schema';
import { eventually } from '../support/eventually';
import { RUN } from '../support/run-context';

const FACTS: HookFacts = {
  ...{ version: 1, id: `${RUN.runId}:hooks[0]:db`, plan: 'shop', runId: RUN.runId, run: 'test' },
  ...{
    at: 'afterVmReady',
    vm: 'db',
    vms: [{ vm: 'db', address: '10.0.1.20', publicAddress: '203.0.113.4' }],
  },
};

describe('A hook', () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'lifeboat-hooks-'));
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  const program = (name: string, text: string, mode = 0o755): string => {
    const file = join(directory, name);
    writeFileSync(file, `#!/bin/sh\n${text}\n`);
    // Whatever this process's umask takes away.
    chmodSync(file, mode);
    return file;
  };

  function run(
    hook: Partial<Hook> & Record<string, unknown>,
    {
      hooksDirectory = directory as string | undefined,
      outputBytes = 16_384,
      environment = new MockActivityEnvironment({}, { logger: new DefaultLogger('ERROR') }),
    } = {},
  ): Promise<HookResult> {
    const { runHook } = createHookActivities({ hooksDirectory });
    const input = {
      run: RUN,
      hook: { at: 'afterVmReady', ...hook } as Hook,
      index: 0,
      facts: FACTS,
      outputBytes,
    };
    return environment.run(runHook, input) as Promise<HookResult>;
  }

  it('is a program that is told of the run, by its input and environment, and gets its arguments as they are', async () => {
    process.env.AWS_SECRET_ACCESS_KEY_OF_TEST = 'secret';
    program(
      'tell.sh',
      'cat; echo; echo "$LIFEBOAT_VM $LIFEBOAT_ADDRESS $LIFEBOAT_RUN $LIFEBOAT_HOOK_ID"; printf "<%s>" "$@"; env',
    );
    const result = await run({ command: ['tell.sh', '$(touch hit)', '; touch hit', '*'], required: true });
    delete process.env.AWS_SECRET_ACCESS_KEY_OF_TEST;
    expect(result).toMatchObject({
      ok: true,
      status: 0,
      what: 'tell.sh',
      required: true,
      id: FACTS.id,
      vm: 'db',
    });
    expect(result).not.toHaveProperty('reason');
    const [facts, , names, args] = result.output.split('\n');
    expect(JSON.parse(facts!)).toEqual(FACTS);
    expect(names).toBe(`db 10.0.1.20 test ${FACTS.id}`);
    expect(args).toMatch(/^<\$\(touch hit\)><; touch hit><\*>/);
    expect(existsSync(join(directory, 'hit'))).toBe(false);
    // The worker's own environment has credentials in it.
    expect(result.output).not.toContain('secret');
  });

  it('that fails tells its status and the end of what it said, with nothing in it that a terminal would act on', async () => {
    program(
      'bad.sh',
      `printf 'begin\\n'; yes | head -c 40000; printf '\\033[2J\\033]0;x\\007a\\tb\\377\\r\\nlast\\n' >&2; exit 3`,
    );
    const result = await run({ command: ['bad.sh'] });
    expect(result).toMatchObject({
      ok: false,
      status: 3,
      reason: 'bad.sh ended with exit status 3.',
      required: false,
    });
    expect(result.output).toMatch(/\?\[2J\?\]0;x\?a b\?\nlast\n$/);
    expect(result.output).not.toContain('begin');
    expect(Buffer.byteLength(result.output)).toBeLessThanOrEqual(16_384);
    const little = await run({ command: ['bad.sh'] }, { outputBytes: 8 });
    expect(little.output).toMatch(/last\n$/);
    expect(Buffer.byteLength(little.output)).toBeLessThanOrEqual(8);
  });

  it('that takes too long is ended with all that it has started', async () => {
    program('slow.sh', '(trap "" TERM; sleep 60; touch late) & echo begun; sleep 60');
    const result = await run({ command: ['slow.sh'], timeout: 1 });
    expect(result).toMatchObject({ ok: false, reason: 'slow.sh had not ended after 1 s, and was killed.' });
    expect(result.output).toBe('begun\n');
  }, 20_000);

  it('leaves nothing behind that goes on, and does not wait for it', async () => {
    program('daemon.sh', 'sleep 60 & echo $! ; exit 0');
    const result = await run({ command: ['daemon.sh'] });
    expect(result.ok).toBe(true);
    const pid = Number(result.output);
    await eventually(10, () => Promise.resolve(isAlive(pid) ? undefined : true));
  }, 20_000);

  it('ends with its activity', async () => {
    program('long.sh', 'echo $$ > pid; exec sleep 60');
    const environment = new MockActivityEnvironment({}, { logger: new DefaultLogger('ERROR') });
    const going = run({ command: ['long.sh'] }, { environment });
    await eventually(10, () => Promise.resolve(existsSync(join(directory, 'pid')) || undefined));
    environment.cancel();
    await expect(going).rejects.toThrow(/CANCELLED|cancel/i);
  }, 20_000);

  it.each([
    ['is not there', 'missing.sh', /The proxy has no .*missing\.sh/],
    ['may not be run', 'plain.sh', /may not run .*plain\.sh \(chmod \+x\)/],
    ['is a directory', 'folder', /folder on the proxy is no file/],
    ['everybody may write', 'open.sh', /open\.sh on the proxy can be written by everybody/],
  ])('whose program %s has failed', async (_, name, reason) => {
    program('plain.sh', 'exit 0', 0o644);
    program('open.sh', 'exit 0', 0o777);
    mkdirSync(join(directory, 'folder'));
    expect(await run({ command: [name] })).toMatchObject({
      ok: false,
      reason: expect.stringMatching(reason) as string,
    });
  });

  it('runs no program where the proxy names no directory for them, or one that everybody may write', async () => {
    program('good.sh', 'exit 0');
    const { runHook } = createHookActivities({ hooksDirectory: undefined });
    const input = {
      run: RUN,
      hook: { at: 'afterReady', command: ['good.sh'] } as Hook,
      index: 0,
      facts: FACTS,
      outputBytes: 1,
    };
    expect(await new MockActivityEnvironment().run(runHook, input)).toMatchObject({
      ...{ ok: false, reason: expect.stringContaining('LIFEBOAT_HOOKS_DIRECTORY is not set') as string },
    });
    chmodSync(directory, 0o777);
    expect(await run({ command: ['good.sh'] })).toMatchObject({
      ok: false,
      reason: expect.stringContaining('written by everybody') as string,
    });
  });

  it.each(['../../../bin/true', '/bin/true', '..', 'a/../b'])(
    'of a plan that nobody has checked runs nothing outside: %s',
    async (name) => {
      expect(await run({ command: [name] })).toMatchObject({
        ...{ ok: false, reason: expect.stringContaining('no hook as plans may have it') as string },
      });
    },
  );

  describe('by HTTP', () => {
    let server: Server;
    let url: string;
    let answer: RequestListener;
    const heard: { method?: string; body: string; key?: string }[] = [];
    beforeEach(async () => {
      heard.length = 0;
      server = createServer((request, response) => {
        let body = '';
        request.on('data', (chunk: Buffer) => (body += chunk.toString()));
        request.on('end', () => {
          heard.push({ method: request.method, body, key: request.headers['idempotency-key'] as string });
          answer(request, response);
        });
      });
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/done?token=secret`;
    });
    afterEach(() => {
      server.closeAllConnections();
      server.close();
    });

    it('tells the facts, and is done with 2xx', async () => {
      answer = (_, response) => response.writeHead(204).end();
      const result = await run({ http: { url } });
      expect(result).toMatchObject({ ok: true, status: 204 });
      expect(result.what).toMatch(/^POST http:\/\/127\.0\.0\.1:\d+\/done$/);
      expect(JSON.parse(heard[0]!.body)).toEqual(FACTS);
      expect(heard[0]!.key).toBe(FACTS.id);
      await run({ http: { url, method: 'PUT', body: 'as it is' } });
      expect(heard[1]).toMatchObject({ method: 'PUT', body: 'as it is' });
    });

    it.each([
      [500, 'answered 500.'],
      [302, 'answered 302, a redirect, which is not followed.'],
    ])('has failed with %i', async (status, said) => {
      answer = (_, response) => response.writeHead(status, { location: `${url}&again` }).end('why\u001b[31m');
      const result = await run({ http: { url } });
      expect(result).toMatchObject({ ok: false, status, reason: expect.stringContaining(said) as string });
      expect(result.output).toBe('why?[31m');
      expect(heard).toHaveLength(1);
    });

    it('has failed where nobody answers in time, or at all, and never tells the query', async () => {
      answer = () => undefined;
      const late = await run({ http: { url }, timeout: 1 });
      expect(late).toMatchObject({
        ok: false,
        reason: expect.stringMatching(/had not answered after 1 s/) as string,
      });
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      const none = await run({ http: { url } });
      expect(none).toMatchObject({ ok: false, reason: expect.stringContaining('ECONNREFUSED') as string });
      expect(JSON.stringify([late, none])).not.toContain('secret');
    });

    it('reads of an endless answer only so much', async () => {
      answer = (_, response) => {
        const more = (): void => {
          while (response.write('x'.repeat(65_536)));
          response.once('drain', more);
        };
        more();
      };
      const result = await run({ http: { url } });
      expect(result.ok).toBe(true);
      expect(result.output).toHaveLength(16_384);
    });
  });
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
