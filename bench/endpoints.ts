import { type ChildProcess, fork, spawn } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type AwsEndpointConfig } from '../sandbox/aws/config';
import { REGION, SHOP_BUCKET, shopFixtures } from '../sandbox/aws/fixtures';
import { BLOCK_SERVER_FLAGS } from '../sandbox/aws/node-flags';
import { type EndpointAnswers, type EndpointOrder } from './endpoint/main';
import { cpuSecondsOf } from './measure';

export const ACCESS_KEY_ID = 'LIFEBOATBENCH';
export const SECRET_ACCESS_KEY = 'secret';
export const BUCKET = SHOP_BUCKET;
export { REGION };

/** A process that answers for AWS, apart from those that are measured. */
export interface Endpoint {
  url: string;
  /** Seconds of CPU that it has used so far. */
  cpuSeconds(): Promise<number>;
  close(): Promise<void>;
}

/** glibc gives memory back to the kernel between two blocks and takes it again, page by page, unless told not to. */
const KEEP_MEMORY = { MALLOC_TRIM_THRESHOLD_: String(512 * 2 ** 20), MALLOC_TOP_PAD_: String(16 * 2 ** 20) };

/** The EBS direct APIs at the least cost; see endpoint/ebs.ts. */
export class LeanEndpoint implements Endpoint {
  private constructor(
    readonly url: string,
    private readonly child: ChildProcess,
  ) {}

  static async start(): Promise<LeanEndpoint> {
    const child = fork(join(__dirname, 'endpoint', 'main.js'), {
      env: { ...process.env, ...KEEP_MEMORY },
      execArgv: [...BLOCK_SERVER_FLAGS],
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    const { url } = (await message(child)) as { url: string };
    return new LeanEndpoint(url, child);
  }

  async tell<O extends EndpointOrder>(order: O): Promise<EndpointAnswers[O['order']]> {
    const answered = message(this.child);
    this.child.send(order);
    const { answer, error } = (await answered) as { answer?: EndpointAnswers[O['order']]; error?: string };
    if (error !== undefined) throw new Error(`The benchmark's endpoint: ${error}`);
    return answer as EndpointAnswers[O['order']];
  }

  cpuSeconds = (): Promise<number> => cpuSecondsOf(pidOf(this.child));
  close = (): Promise<void> => end(this.child);
}

/** The sandbox's AWS endpoint, which has S3. */
export async function startSandboxEndpoint(directory: string): Promise<Endpoint> {
  await mkdir(directory, { recursive: true });
  const config: AwsEndpointConfig = {
    directory: join(directory, 'state'),
    listen: { host: '127.0.0.1', port: 0 },
    dns: { host: '127.0.0.1', port: 0 },
    region: REGION,
    accessKeyId: ACCESS_KEY_ID,
    secretAccessKey: SECRET_ACCESS_KEY,
    network: { id: 'none', runDirectory: directory },
    loopbackOctet: 97,
    deviceDirectory: join(directory, 'devices'),
    runner: 'no-boot',
    times: { snapshotComplete: 0 },
    etags: 'opaque',
    fixtures: shopFixtures(),
  };
  const configPath = join(directory, 'config.json');
  await writeFile(configPath, JSON.stringify(config));
  const script = join(__dirname, '..', 'sandbox', 'aws', 'main.js');
  const child = spawn(process.execPath, [...BLOCK_SERVER_FLAGS, script, configPath], {
    env: { ...process.env, ...KEEP_MEMORY },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const url = await new Promise<string>((found, failed) => {
    let said = '';
    child.stdout.on('data', (data: Buffer) => {
      said += data.toString();
      const address = /listening on (\S+)/.exec(said)?.[1];
      if (address !== undefined) found(address);
    });
    child.once('error', failed);
    child.once('exit', (code) => failed(new Error(`The AWS endpoint ended with ${code} before it served.`)));
  });
  return { url, cpuSeconds: () => cpuSecondsOf(pidOf(child)), close: () => end(child) };
}

/** The next message of a child. @throws Error where it ends instead */
function message(child: ChildProcess): Promise<unknown> {
  return new Promise((received, failed) => {
    const ended = (code: number | null): void => failed(new Error(`The endpoint ended with ${code}.`));
    child.once('exit', ended);
    child.once('message', (value) => {
      child.off('exit', ended);
      received(value);
    });
  });
}

function pidOf(child: ChildProcess): number {
  if (child.pid === undefined) throw new Error('The endpoint was not started.');
  return child.pid;
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((done) => child.once('exit', done));
  child.kill('SIGTERM');
  await ended;
}
