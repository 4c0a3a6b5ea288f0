import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { EBSClient } from '@aws-sdk/client-ebs';
import { EC2Client } from '@aws-sdk/client-ec2';
import { Route53Client } from '@aws-sdk/client-route-53';
import { S3Client } from '@aws-sdk/client-s3';
import { STSClient } from '@aws-sdk/client-sts';
import { type AwsEndpointConfig } from '../../sandbox/aws/config';
import { shopFixtures } from '../../sandbox/aws/fixtures';
import { type RunningAwsEndpoint, startAwsEndpoint } from '../../sandbox/aws/start';

/** An endpoint of its own on free ports, with short times and instances that do not boot. */
export class AwsHarness {
  readonly directory = mkdtempSync(join(tmpdir(), 'lifeboat-aws-'));
  readonly config: AwsEndpointConfig = {
    directory: join(this.directory, 'state'),
    listen: { host: '127.0.0.1', port: 0 },
    dns: { host: '127.0.0.1', port: 0 },
    region: 'eu-central-1',
    accessKeyId: 'AKIATEST',
    secretAccessKey: 'secret',
    network: { id: 'unit', runDirectory: join(this.directory, 'run') },
    loopbackOctet: 99,
    deviceDirectory: join(this.directory, 'devices'),
    runner: 'no-boot',
    times: {
      instanceStart: 0.05,
      instanceStop: 0.05,
      volumeCreate: 0.05,
      volumeAttach: 0.05,
      rootReplace: 0.05,
      snapshotComplete: 0.05,
      dnsPropagation: 0.2,
      watch: 0.1,
    },
    fixtures: shopFixtures(),
  };
  private running: RunningAwsEndpoint | undefined;
  private port = 0;

  async start(): Promise<void> {
    this.running = await startAwsEndpoint({
      ...this.config,
      listen: { ...this.config.listen, port: this.port },
    });
    // Kept over a restart, as in the sandbox, so that clients go on.
    this.port = Number(new URL(this.running.endpoint).port);
  }

  async restart(): Promise<void> {
    await this.running?.close();
    // Clients must see their kept-alive connections end, or they send the next request into one of them.
    await sleep(100);
    await this.start();
  }

  async stop(): Promise<void> {
    await this.running?.close();
    rmSync(this.directory, { recursive: true, force: true });
  }

  get endpoint(): RunningAwsEndpoint {
    if (this.running === undefined) throw new Error('the endpoint was not started');
    return this.running;
  }

  clientSettings(accessKeyId = this.config.accessKeyId) {
    return {
      region: this.config.region,
      endpoint: this.endpoint.endpoint,
      credentials: { accessKeyId, secretAccessKey: this.config.secretAccessKey },
      maxAttempts: 1,
    };
  }

  ec2 = (): EC2Client => new EC2Client(this.clientSettings());
  ebs = (): EBSClient => new EBSClient(this.clientSettings());
  s3 = (): S3Client => new S3Client({ ...this.clientSettings(), forcePathStyle: true });
  sts = (): STSClient => new STSClient(this.clientSettings());
  route53 = (): Route53Client => new Route53Client(this.clientSettings());
}

/** Asks until the answer is the one wanted; the states of the endpoint take time. */
export async function eventually<T>(ask: () => Promise<T>, wanted: (answer: T) => boolean): Promise<T> {
  const deadline = Date.now() + 10_000;
  for (;;) {
    const answer = await ask();
    if (wanted(answer)) return answer;
    if (Date.now() > deadline) throw new Error(`still ${JSON.stringify(answer)} after 10 s`);
    await sleep(20);
  }
}

/** The name (error code) and status that a call fails with. */
export async function failure(
  call: Promise<unknown>,
): Promise<{ name: string; status: number | undefined; message: string }> {
  try {
    await call;
  } catch (error) {
    const { name, message, $metadata } = error as Error & { $metadata?: { httpStatusCode?: number } };
    return { name, message, status: $metadata?.httpStatusCode };
  }
  throw new Error('the call did not fail');
}
