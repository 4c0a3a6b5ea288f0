import { readFileSync } from 'node:fs';
import { type AddressInfo } from 'node:net';
import { blockBuckets, ebsAnswers, type LeanAccount, nextSnapshotId } from './ebs';
import { leanServer } from './http';
import { BlockMeter, type MeterReading } from './meter';
import { LeanSnapshot } from './snapshots';
import { messageOf } from '../../host/message-of';

/** What the benchmark tells its endpoint, over the channel of a forked process. Each is answered, in order. */
export type EndpointOrder =
  | { order: 'verify'; verify: boolean }
  | { order: 'add snapshot'; sizeGiB: number }
  | { order: 'add disk'; path: string; sumsPath: string }
  | { order: 'compare'; snapshotId: string; sumsPath: string }
  | { order: 'count' }
  /** From now on, behave so; the meter begins anew. */
  | ({ order: 'behave' } & Behaviour)
  | { order: 'meter' };

/** How the endpoint answers; as fast as it can where nothing is said. */
export interface Behaviour {
  /** Milliseconds after which a call is answered. */
  latencyMs?: number;
  /** Block calls of each kind that it takes in a second. */
  quotaPerSecond?: number;
}

export interface EndpointAnswers {
  verify: undefined;
  'add snapshot': { snapshotId: string };
  'add disk': { snapshotId: string };
  compare: { state: string; written: number; puts: number; firstDifference?: number };
  count: { blockCalls: number };
  behave: undefined;
  meter: MeterReading;
}

const account: LeanAccount = {
  snapshots: new Map(),
  tokens: new Map(),
  verify: false,
  blockCalls: 0,
  meter: new BlockMeter(),
  buckets: new Map(),
};

let latencyMs = 0;

function carryOut(order: EndpointOrder): EndpointAnswers[EndpointOrder['order']] {
  switch (order.order) {
    case 'verify':
      account.verify = order.verify;
      return undefined;
    case 'add snapshot':
      return add(new LeanSnapshot(nextSnapshotId(account), order.sizeGiB));
    case 'add disk':
      return add(LeanSnapshot.ofDisk(nextSnapshotId(account), order.path, order.sumsPath));
    case 'compare': {
      const snapshot = account.snapshots.get(order.snapshotId);
      if (snapshot === undefined) throw new Error(`There is no snapshot ${order.snapshotId}.`);
      const { state, written, puts } = snapshot;
      const firstDifference = snapshot.firstDifference(readFileSync(order.sumsPath));
      return { state, written, puts, ...(firstDifference === undefined ? {} : { firstDifference }) };
    }
    case 'count':
      return { blockCalls: account.blockCalls };
    case 'behave':
      latencyMs = order.latencyMs ?? 0;
      account.buckets = order.quotaPerSecond === undefined ? new Map() : blockBuckets(order.quotaPerSecond);
      account.meter = new BlockMeter();
      return undefined;
    case 'meter':
      return account.meter.read();
  }
}

function add(snapshot: LeanSnapshot): { snapshotId: string } {
  account.snapshots.set(snapshot.id, snapshot);
  return { snapshotId: snapshot.id };
}

/** A forked process: says its address, then does what it is told until the channel closes. */
const server = leanServer(ebsAnswers(account), () => latencyMs);
server.listen(0, '127.0.0.1', () => {
  const { port } = server.address() as AddressInfo;
  process.send?.({ url: `http://127.0.0.1:${port}` });
});
process.on('message', (order: EndpointOrder) => {
  try {
    process.send?.({ answer: carryOut(order) });
  } catch (error) {
    process.send?.({ error: messageOf(error) });
  }
});
process.on('disconnect', () => process.exit(0));
