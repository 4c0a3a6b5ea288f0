import { hash } from 'node:crypto';
import { BLOCK_SIZE } from '../../blocks/port';
import { TokenBucket } from '../../sandbox/aws/faults/throttling';
import { type Answer, type LeanRequest, type LeanResponse } from './http';
import { type BlockMeter } from './meter';
import { LeanSnapshot } from './snapshots';

/** What the parent process may ask of the endpoint. */
export interface LeanAccount {
  snapshots: Map<string, LeanSnapshot>;
  /** Ids of snapshots by the client token that they were started with: a copy that goes on asks again. */
  tokens: Map<string, string>;
  /** Compute the SHA-256 of every block and compare it with the header's. */
  verify: boolean;
  /** PutSnapshotBlock and GetSnapshotBlock that were carried out. */
  blockCalls: number;
  /** Of the run that is under way. */
  meter: BlockMeter;
  /** By method: PutSnapshotBlock's, GetSnapshotBlock's. Empty where nothing is limited. */
  buckets: ReadonlyMap<string, TokenBucket>;
}

/** A bucket for each of the two kinds of block calls. */
export function blockBuckets(perSecond: number): LeanAccount['buckets'] {
  const bucket = (): TokenBucket => new TokenBucket(perSecond, Math.max(1, perSecond * BURST_SECONDS));
  return new Map([
    ['PUT', bucket()],
    ['GET', bucket()],
  ]);
}

/** Seconds of the quota that an idle bucket holds, as the sandbox's has: AWS does not say. */
const BURST_SECONDS = 0.1;
/** MaxResults, where the request does not say (EBS direct API Reference, ListSnapshotBlocks). */
const PAGE_BLOCKS = 10_000;
const BLOCK_PATH = /^\/snapshots\/([^/]+)\/blocks\/(\d+)$/;

const json = (value: unknown, status = 200): LeanResponse => ({
  status,
  headers: { 'content-type': 'application/json' },
  body: Buffer.from(JSON.stringify(value)),
});

/** A request that cannot be answered with what was asked for. */
class Refusal extends Error {
  constructor(
    readonly code: string,
    message: string,
    readonly status = 400,
  ) {
    super(message);
  }
}

/**
 * The EBS direct APIs, and EC2's DescribeSnapshots, as far as the benchmarks' sides call them, at the least cost to the
 * machine that they share: blocks that are put are checked and counted but not kept, and blocks that are got come from
 * a file in the page cache. Signatures are not checked. Whatever else is asked for is refused.
 */
export function ebsAnswers(account: LeanAccount): Answer {
  return (request, memory) => {
    try {
      return route(account, request, memory);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      return {
        ...json({ Message: error.message, message: error.message }, error.status),
        headers: { 'content-type': 'application/json', 'x-amzn-errortype': error.code },
      };
    }
  };
}

function route(account: LeanAccount, request: LeanRequest, memory: Buffer): LeanResponse {
  const { method, path } = request;
  const block = BLOCK_PATH.exec(path);
  if (block !== null) {
    const snapshot = find(account, block[1]);
    const index = Number(block[2]);
    if (index >= snapshot.blocks) throw invalid(`BlockIndex ${index} is beyond the volume size.`);
    admit(account, method);
    account.blockCalls++;
    if (method === 'PUT') return put(account, snapshot, index, request);
    if (method === 'GET') return get(snapshot, index, memory);
  }
  if (method === 'POST' && path === '/snapshots') return start(account, request);
  const completed = /^\/snapshots\/completion\/([^/]+)$/.exec(path);
  if (method === 'POST' && completed !== null) return complete(find(account, completed[1]), request);
  const listed = /^\/snapshots\/([^/]+)\/blocks$/.exec(path);
  if (method === 'GET' && listed !== null) return list(find(account, listed[1]), request);
  if (method === 'POST' && path === '/') return describe(account, request);
  throw new Refusal('UnknownOperationException', `Not offered for benchmarks: ${method} ${path}`, 404);
}

/** @throws Refusal where the call comes too fast */
function admit({ buckets, meter }: LeanAccount, method: string): void {
  const bucket = buckets.get(method);
  if (bucket?.has() === false) {
    meter.refused++;
    // "Error retries", Amazon EBS User Guide: this one for the account, RequestThrottledException for a snapshot.
    throw new Refusal('ThrottlingException', 'Rate exceeded');
  }
  bucket?.take();
  meter.count();
}

export function nextSnapshotId({ snapshots }: LeanAccount): string {
  return `snap-${(snapshots.size + 1).toString(16).padStart(17, '0')}`;
}

function find(account: LeanAccount, id = ''): LeanSnapshot {
  const snapshot = account.snapshots.get(id);
  if (snapshot === undefined)
    throw new Refusal('ResourceNotFoundException', `The snapshot '${id}' does not exist.`, 404);
  return snapshot;
}

const invalid = (message: string): Refusal => new Refusal('ValidationException', message);

function start(account: LeanAccount, { body }: LeanRequest): LeanResponse {
  const { VolumeSize, ParentSnapshotId, ClientToken } = JSON.parse(body.toString()) as {
    VolumeSize: number;
    ParentSnapshotId?: string;
    ClientToken?: string;
  };
  const before = ClientToken === undefined ? undefined : account.tokens.get(ClientToken);
  const id = before ?? nextSnapshotId(account);
  if (before === undefined) {
    const parent = ParentSnapshotId === undefined ? undefined : find(account, ParentSnapshotId);
    account.snapshots.set(id, new LeanSnapshot(id, VolumeSize, parent));
    if (ClientToken !== undefined) account.tokens.set(ClientToken, id);
  }
  const answer = { SnapshotId: id, Status: 'pending', VolumeSize, BlockSize: BLOCK_SIZE, ParentSnapshotId };
  return json({ ...answer, StartTime: Date.now() / 1000, OwnerId: '000000000000' }, 201);
}

function put(
  account: LeanAccount,
  snapshot: LeanSnapshot,
  index: number,
  { header, body }: LeanRequest,
): LeanResponse {
  if (snapshot.state !== 'pending') throw invalid(`The snapshot '${snapshot.id}' is completed.`);
  const checksum = header('x-amz-checksum') ?? '';
  const digest = Buffer.from(checksum, 'base64');
  if (header('x-amz-checksum-algorithm') !== 'SHA256' || digest.length !== 32)
    throw invalid('The checksum must be a SHA256.');
  if (Number(header('x-amz-data-length')) !== BLOCK_SIZE || body.length !== BLOCK_SIZE)
    throw invalid(`A block must have ${BLOCK_SIZE} bytes.`);
  if (account.verify && hash('sha256', body, 'base64') !== checksum)
    throw invalid('The checksum does not match the block data.');
  snapshot.put(index, digest);
  return { status: 201, headers: { 'x-amz-checksum': checksum, 'x-amz-checksum-algorithm': 'SHA256' } };
}

function get(snapshot: LeanSnapshot, index: number, memory: Buffer): LeanResponse {
  const digest = snapshot.digest(index);
  if (digest === undefined) throw invalid(`The snapshot '${snapshot.id}' has no block ${index}.`);
  snapshot.read(index, memory);
  const headers = {
    'content-type': 'application/octet-stream',
    'x-amz-data-length': String(BLOCK_SIZE),
    'x-amz-checksum': digest.toString('base64'),
    'x-amz-checksum-algorithm': 'SHA256',
  };
  return { status: 200, headers, body: memory.subarray(0, BLOCK_SIZE) };
}

function complete(snapshot: LeanSnapshot, { header }: LeanRequest): LeanResponse {
  const count = Number(header('x-amz-changedblockscount'));
  if (count !== snapshot.written)
    throw invalid(`ChangedBlocksCount is ${count}, but ${snapshot.written} blocks were written.`);
  const checksum = header('x-amz-checksum');
  if (checksum !== undefined && checksum !== snapshot.aggregate())
    throw invalid('The checksum does not match the blocks that were written.');
  snapshot.state = 'completed';
  return json({ Status: 'completed' }, 202);
}

function list(snapshot: LeanSnapshot, { query }: LeanRequest): LeanResponse {
  const parameters = new URLSearchParams(query);
  const size = Number(parameters.get('maxResults') ?? PAGE_BLOCKS);
  let index = Number(parameters.get('pageToken') ?? parameters.get('startingBlockIndex') ?? 0);
  const Blocks: { BlockIndex: number; BlockToken: string }[] = [];
  for (; index < snapshot.blocks && Blocks.length < size; index++)
    if (snapshot.digest(index) !== undefined) Blocks.push({ BlockIndex: index, BlockToken: `token${index}` });
  return json({
    Blocks,
    VolumeSize: snapshot.sizeGiB,
    BlockSize: BLOCK_SIZE,
    ExpiryTime: Date.now() / 1000 + 3600,
    ...(index < snapshot.blocks ? { NextToken: String(index) } : {}),
  });
}

/** EC2's query protocol, for what a copy asks: the state of a snapshot. */
function describe(account: LeanAccount, { body }: LeanRequest): LeanResponse {
  const form = new URLSearchParams(body.toString());
  if (form.get('Action') !== 'DescribeSnapshots')
    throw new Refusal('InvalidAction', `Not offered for benchmarks: ${form.get('Action')}`);
  const wanted = form.get('SnapshotId.1');
  const filters = filtersOf(form);
  const items = [...account.snapshots.values()]
    .filter(({ id }) => wanted === null || wanted === id)
    // Snapshots have no tags here, so that none is found by them: every restore begins as the first one.
    .filter(({ id }) => filters.every(({ name, values }) => name === 'snapshot-id' && values.includes(id)))
    .map(
      ({ id, sizeGiB, state }) =>
        `<item><snapshotId>${id}</snapshotId><volumeSize>${sizeGiB}</volumeSize><status>${state}</status>` +
        `<progress>${state === 'completed' ? '100%' : ''}</progress></item>`,
    );
  const xml =
    `<DescribeSnapshotsResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>bench</requestId>` +
    `<snapshotSet>${items.join('')}</snapshotSet></DescribeSnapshotsResponse>`;
  return { status: 200, headers: { 'content-type': 'text/xml' }, body: Buffer.from(xml) };
}

/** `Filter.1.Name`, `Filter.1.Value.1` and so on. */
function filtersOf(form: URLSearchParams): { name: string; values: string[] }[] {
  return [...form].flatMap(([key, name]) => {
    const prefix = /^(Filter\.\d+)\.Name$/.exec(key)?.[1];
    if (prefix === undefined) return [];
    return [
      { name, values: [...form].filter(([other]) => other.startsWith(`${prefix}.Value.`)).map(([, v]) => v) },
    ];
  });
}
