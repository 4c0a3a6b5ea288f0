import { DefaultLogger, makeTelemetryFilterString, type RuntimeOptions } from '@temporalio/worker';
import { guardOutput } from '../host/guarded-output';

/**
 * How Temporal's SDK logs in a worker: what its native half says goes the same way as all else, through this process's stderr, where
 * secrets are taken out. With LIFEBOAT_DEBUG=1, all that it has to say, each call of the server's among it.
 */
export function sdkLogging(env: NodeJS.ProcessEnv = process.env): RuntimeOptions & {
  telemetryOptions: { logging: object };
} {
  const all = env.LIFEBOAT_DEBUG === '1';
  return {
    logger: new DefaultLogger(all ? 'TRACE' : 'INFO'),
    telemetryOptions: {
      logging: {
        forward: {},
        filter: makeTelemetryFilterString(
          all ? { core: 'TRACE', other: 'INFO' } : { core: 'WARN', other: 'ERROR' },
        ),
      },
    },
  };
}

/** A worker says nothing on either stream that anybody has asked for: both are logs. */
export function guardWorkerOutput(): void {
  // stderr is guarded by the command.
  guardOutput(process.stdout);
}
