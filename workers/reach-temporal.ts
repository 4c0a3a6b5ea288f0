import { constants } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { Connection } from '@temporalio/client';
import { NativeConnection } from '@temporalio/worker';
import { messageOf } from '../host/message-of';
import { type WireDataConverter } from '../wire/data-converter';
import { temporalSettings, type TemporalSettings } from '../wire/temporal-settings';
import { whyUnreachable } from '../wire/why-unreachable';
import { WireError } from '../wire/wire-error';
import { SettingsError } from './settings';

/** Between two tries to reach a Temporal server that is not there (yet). */
const RECONNECT_SECONDS = 2;

/**
 * Connects a worker, which outlives its server, and may be started before it. Certificates are read anew at each try, so that one that has
 * expired can be exchanged. A worker that is to encrypt has shown first that it can.
 * @param prepare what has to be done before it polls
 * @throws SettingsError of `prepare`
 */
export async function reachTemporal(
  { payloadCodecs: [codec] }: WireDataConverter,
  prepare: (client: Connection) => Promise<void>,
): Promise<{
  connection: NativeConnection;
  connectionOptions: TemporalSettings['connectionOptions'];
}> {
  const heedNoMore = endAtSignals();
  for (;;) {
    try {
      await codec.encode([{ metadata: {}, data: new Uint8Array() }]);
      const settings = temporalSettings();
      const connection = await tryOnce(settings, prepare);
      heedNoMore();
      return { connection, connectionOptions: settings.connectionOptions };
    } catch (error) {
      if (error instanceof SettingsError) throw error;
      const what = error instanceof WireError ? 'This worker is not ready' : 'Temporal is not reachable';
      console.error(`${what}, trying again: ${messageOf(error)}`);
      await sleep(RECONNECT_SECONDS * 1000);
    }
  }
}

async function tryOnce(
  settings: TemporalSettings,
  prepare: (client: Connection) => Promise<void>,
): Promise<NativeConnection> {
  try {
    const client = await Connection.connect(settings.connectionOptions);
    try {
      await prepare(client);
    } finally {
      await client.close();
    }
    return await NativeConnection.connect(settings.connectionOptions);
  } catch (cause) {
    if (cause instanceof SettingsError) throw cause;
    throw new Error(await whyUnreachable(settings, cause), { cause });
  }
}

/**
 * The SDK takes the signals that would end the process as soon as it is there, and heeds them for workers that run only; while
 * there are none, there is nothing to wait for.
 * @returns what leaves the signals to it again
 */
function endAtSignals(): () => void {
  const signals = ['SIGINT', 'SIGTERM'] as const;
  const end = (signal: (typeof signals)[number]): void => process.exit(128 + constants.signals[signal]);
  for (const signal of signals) process.on(signal, end);
  return () => {
    for (const signal of signals) process.off(signal, end);
  };
}
