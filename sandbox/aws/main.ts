import { readFileSync } from 'node:fs';
import { type AwsEndpointConfig } from './config';
import { startAwsEndpoint } from './start';

/** `node dist/sandbox/aws/main.js CONFIG.json`: the AWS-compatible endpoint, until SIGTERM or SIGINT. */
async function main(): Promise<void> {
  const [path] = process.argv.slice(2);
  if (path === undefined) throw new Error('usage: main.js CONFIG.json');
  const config = JSON.parse(readFileSync(path, 'utf8')) as AwsEndpointConfig;
  const running = await startAwsEndpoint(config);
  console.log(`aws: listening on ${running.endpoint}`);
  let stopping = false;
  for (const signal of ['SIGTERM', 'SIGINT'] as const)
    process.on(signal, () => {
      if (stopping) return;
      stopping = true;
      running.close().then(
        () => process.exit(0),
        (error: unknown) => {
          console.error('aws: could not close:', error);
          process.exit(1);
        },
      );
    });
}

main().catch((error: unknown) => {
  console.error('aws: could not start:', error);
  process.exit(1);
});
