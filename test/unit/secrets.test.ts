import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ApplicationFailure } from '@temporalio/common';
import { cleaned, withFailures } from '../../activities/failures';
import { OutputTail } from '../../activities/hooks/output-tail';
import { guardOutput } from '../../host/guarded-output';
import { runTool } from '../../host/run-tool';
import { formsOf, isSecretVariable, keepSecret, keepSessionSecret, withoutSecrets } from '../../host/secrets';
import { toolEnvironment } from '../../host/tool-environment';
import { projectRoot } from '../../host/project-root';

const SECRET = 'kept+secret/of "this" & that==';

describe('what a process must not tell', () => {
  it('is taken out of texts in every form', () => {
    keepSecret(SECRET, undefined, 'short');
    expect(formsOf(SECRET)).toEqual(
      expect.arrayContaining([
        encodeURIComponent(SECRET),
        Buffer.from(SECRET).toString('hex'),
        'kept+secret/of &quot;this&quot; &amp; that==',
        Buffer.from(SECRET).toString('base64').replace(/=+$/, ''),
      ]),
    );
    for (const form of formsOf(SECRET)) expect(withoutSecrets(`before ${form} after`)).toBe('before … after');
    expect(withoutSecrets('a short word')).toBe('a short word');
  });

  it('is what the environment says now, by names of variables', () => {
    const env = {
      AWS_SECRET_ACCESS_KEY: 'abcdefghijkl',
      LIFEBOAT_WEBHOOK_SECRET_OPS: 'whsec-one-one whsec-two-two',
    };
    expect(withoutSecrets('abcdefghijkl, whsec-two-two', env)).toBe('…, …');
    expect(withoutSecrets('abcdefghijkl', {})).toBe('abcdefghijkl');
    const secret = [
      ...['AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN', 'TEMPORAL_API_KEY', 'TEMPORAL_TLS_CLIENT_KEY_DATA'],
      ...['LIFEBOAT_VSPHERE_PASSWORD', 'LIFEBOAT_WEBHOOK_SECRET_OPS', 'AWS_CONTAINER_AUTHORIZATION_TOKEN'],
      'OTEL_EXPORTER_OTLP_HEADERS',
    ];
    const plain = [
      'PATH',
      'AWS_REGION',
      'AWS_WEB_IDENTITY_TOKEN_FILE',
      'LIFEBOAT_WEBHOOK_SECRETS',
      'AWS_PROFILE',
    ];
    expect([...secret, ...plain].filter(isSecretVariable)).toEqual(secret);
  });

  it('is also a header of several that a variable has', () => {
    const env = {
      OTEL_EXPORTER_OTLP_HEADERS: 'api-key=abcdefgh,x-tenant=dr, authorization=Basic QWxhZGRpbg==',
    };
    expect(withoutSecrets('refused: abcdefgh; Basic QWxhZGRpbg==', env)).toBe('refused: …; …');
  });

  it('is known as long as the process lives, however many sessions come and go; of these, the latest are', () => {
    keepSecret('of-the-vcenter');
    const sessions = Array.from({ length: 300 }, (_, n) => `session-number-${n}.`);
    keepSessionSecret(...sessions);
    expect(withoutSecrets('of-the-vcenter and session-number-299.')).toBe('… and …');
    expect(withoutSecrets('session-number-3.')).toBe('session-number-3.');
    // A session that is used on is one of the latest.
    keepSessionSecret('session-number-100.', 'one-that-is-new');
    expect(withoutSecrets('session-number-100.')).toBe('…');
  });

  it('is whole in the end of an output, also where that begins within a secret', () => {
    keepSecret('hook-secret-of-the-test');
    const tail = new OutputTail(20);
    for (const part of ['x'.repeat(100_000), 'hook-secret-', 'of-the-test', ' and the end\n'])
      tail.add(Buffer.from(part));
    expect(tail.text).toMatch(/^x*… and the end\n?$/);
  });

  it('is what others quote, by its looks', () => {
    expect(withoutSecrets('authorization: Bearer eyJhbGciOi.x.y, next')).toBe(
      'authorization: Bearer …, next',
    );
    expect(withoutSecrets('cookie: vmware_soap_session="52a1"; Path=/')).toBe(
      'cookie: vmware_soap_session=…; Path=/',
    );
    expect(withoutSecrets('signed by whsec_MfKQ9r8GKYqrTwjUPD8I.')).toBe('signed by whsec_….');
    expect(withoutSecrets('-----BEGIN EC PRIVATE KEY-----\nMHc\n-----END EC PRIVATE KEY----- x')).toBe(
      '(a private key) x',
    );
  });

  it('is in no failure of an activity, whoever made it', async () => {
    const { fail } = withFailures({
      fail: () => Promise.reject(ApplicationFailure.create({ message: SECRET, cause: new Error(SECRET) })),
    });
    const failure = (await fail().catch((error: unknown) => error)) as ApplicationFailure;
    expect([failure.message, failure.cause?.message]).toEqual(['…', '…']);
    expect(`${failure.stack}${failure.cause?.stack}`).not.toContain(SECRET);
    expect(cleaned(undefined)).toBeUndefined();
  });

  it('is not written to a guarded stream', () => {
    const written: unknown[] = [];
    const stream = { write: (chunk: unknown) => written.push(chunk) > 0 } as unknown as NodeJS.WriteStream;
    guardOutput(stream);
    expect(stream.write(`x ${SECRET}\n`)).toBe(true);
    expect(written).toEqual(['x …\n']);
  });
});

describe('tools of the host', () => {
  it('start with nothing of this process that is secret, nor settings of it', async () => {
    process.env.AWS_SECRET_ACCESS_KEY ??= 'test-secret';
    process.env.SOME_PASSWORD = SECRET;
    try {
      const { stdout } = await runTool('env', [], { timeoutSeconds: 60, environment: { MORE: 'yes' } });
      const names = stdout
        .toString()
        .split('\n')
        .map((line) => line.split('=')[0]);
      expect(names).toEqual(expect.arrayContaining(['PATH', 'LC_ALL', 'MORE']));
      expect(names.filter((name) => /^(AWS|TEMPORAL|LIFEBOAT)_|PASSWORD/.test(name ?? ''))).toEqual([]);
      expect(stdout.toString()).not.toContain(SECRET);
    } finally {
      delete process.env.SOME_PASSWORD;
    }
    expect(toolEnvironment({}, { TEMPORAL_API_KEY: 'x', TZ: 'UTC' })).toEqual({ TZ: 'UTC', LC_ALL: 'C' });
  });

  it('are started with an environment that was chosen for them, everywhere in the product', () => {
    const product = [
      'activities',
      'blocks',
      'client',
      'guest',
      'host',
      'hypervisor',
      'machines',
      'repository',
      'workers',
    ];
    const starts = product.flatMap((folder) =>
      readdirSync(join(projectRoot(), folder), { recursive: true, encoding: 'utf8' })
        .filter((name) => name.endsWith('.ts'))
        .flatMap((name) => {
          const source = readFileSync(join(projectRoot(), folder, name), 'utf8');
          return [
            ...source.matchAll(/(?<![.\w])(?:spawn|execFile|fork|exec)\([\s\S]{0,500}?\n? {0,6}\)?;/g),
          ].map(([call]) => ({
            where: `${folder}/${name}`,
            chosen: /\benv(ironment)?: ?\S/.test(call) && !/process\.env\b[^[]/.test(call),
          }));
        }),
    );
    expect(starts.length).toBeGreaterThan(5);
    expect(starts.filter(({ chosen }) => !chosen)).toEqual([]);
  });
});
