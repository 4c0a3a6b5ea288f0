import { type EBSClient } from '@aws-sdk/client-ebs';
import { isThrottlingError } from '@smithy/core/retry';
import { type SdkError } from '@smithy/types';
import { type Dispatcher } from 'undici';
import { keepSessionSecret } from '../../host/secrets';
import { type Backoff, withBackoff } from '../backoff';
import { AdaptiveLimit } from '../limits/concurrency';
import { requestTally } from '../limits/request-tally';
import { BLOCKS_AHEAD, CALLS_AT_ONCE } from '../memory';
import { Pace } from '../limits/pace';
import { BLOCK_SIZE } from '../port';
import { isTransientAwsError } from '../transient';
import { type Answer, exchange, payloadAgent } from '../exchange';
import { errorOf } from './answer';
import { type Route, routeOf } from './route';
import { EMPTY_SHA256, percentEncoded, Signer, type UnsignedRequest } from './signature';

/**
 * The two block calls of the EBS direct APIs by a transport of our own (docs/decisions/0009): the SDK spends three
 * times the CPU on each. Where to send, as whom and by which clock stay the SDK client's.
 */

/** Some 20 s in all; longer troubles are for the activity's retry. Throttling is the pace's own. */
const BACKOFF: Backoff = { attempts: 12, baseMs: 100, capMs: 5000 };
/** Calls of a kind under way: few where the service is near, as many as there is memory for where it is not. */
const LIMIT = { initial: 8, most: CALLS_AT_ONCE };
/** Milliseconds for which endpoint and scope of the client are believed to be as they were. */
const ROUTE_AGE_MS = 60_000;

interface Learned {
  route: Route;
  signer: Signer;
  until: number;
}

/** What AWS counts by itself, and so is limited by itself. */
interface CallKind {
  limit: AdaptiveLimit;
  pace: Pace;
}

const newKind = (): CallKind => ({ limit: new AdaptiveLimit(LIMIT), pace: new Pace() });

const clients = new WeakMap<EBSClient, EbsBlockClient>();

/** The one client of a process for an SDK client: all that copies blocks with it shares the account's quota, and so one limit. */
export function blockClientOf(ebs: EBSClient): EbsBlockClient {
  const client = clients.get(ebs) ?? new EbsBlockClient(ebs);
  clients.set(ebs, client);
  return client;
}

export class EbsBlockClient {
  /** Both kinds go to one host. */
  private readonly agent = payloadAgent(2 * LIMIT.most);
  private readonly puts = newKind();
  private readonly gets = newKind();
  private learned: Promise<Learned> | undefined;

  constructor(private readonly ebs: EBSClient) {}

  /** Blocks of a copy to EBS that may be under way: those in calls, and some that are being made ready. */
  readonly roomForPuts = (): number => this.puts.limit.current + BLOCKS_AHEAD;
  /** Blocks of a copy from EBS that may be under way: those in calls, and some that are being written. */
  readonly roomForGets = (): number => this.gets.limit.current + BLOCKS_AHEAD;

  /**
   * PutSnapshotBlock.
   * @param sha256 of the block: the payload's digest and the checksum that EBS verifies in one
   * @param mayHeal whether an error that is none of a moment's trouble may be one here
   * @throws EBSServiceException; Error where EBS stored something else
   */
  async put(
    block: { snapshotId: string; index: number; bytes: Buffer; sha256: Buffer },
    signal: AbortSignal,
    mayHeal: (error: unknown) => boolean = () => false,
  ): Promise<void> {
    const { snapshotId, index, bytes, sha256 } = block;
    const checksum = sha256.toString('base64');
    const answer = await this.call(this.puts, signal, mayHeal, () =>
      this.send(
        {
          method: 'PUT',
          path: blockPath(snapshotId, index),
          query: '',
          headers: [
            ['x-amz-checksum', checksum],
            ['x-amz-checksum-algorithm', 'SHA256'],
            ['x-amz-data-length', String(BLOCK_SIZE)],
          ],
          payloadSha256: sha256.toString('hex'),
        },
        signal,
        { body: bytes },
      ),
    );
    if (answer.headers['x-amz-checksum'] !== checksum)
      throw new Error(
        `EBS stored block ${index} of ${snapshotId} with another checksum than it was sent with.`,
      );
  }

  /**
   * GetSnapshotBlock, into `into` (BLOCK_SIZE bytes).
   * @param verify is called with the bytes' checksum (base64) as EBS gives it; what it throws counts as damage on the way
   */
  async get<T>(
    block: { snapshotId: string; index: number; token: string },
    into: Buffer,
    verify: (checksum: string) => Promise<T>,
    signal: AbortSignal,
  ): Promise<T> {
    const { snapshotId, index, token } = block;
    return this.call(this.gets, signal, isDamagedTransfer, async () => {
      const request: UnsignedRequest = {
        method: 'GET',
        path: blockPath(snapshotId, index),
        query: `blockToken=${percentEncoded(token)}`,
        headers: [],
        payloadSha256: EMPTY_SHA256,
      };
      const answer = await this.send(request, signal, { into });
      if (answer.filled !== BLOCK_SIZE) throw new DamagedTransferError(snapshotId, index);
      return verify(answer.headers['x-amz-checksum'] ?? '');
    });
  }

  /** Closes idle connections; calls under way end well. */
  close(): Promise<void> {
    return this.agent.close();
  }

  private call<T>(
    { limit, pace }: CallKind,
    signal: AbortSignal,
    mayHeal: (error: unknown) => boolean,
    attempt: () => Promise<T>,
  ): Promise<T> {
    return limit.run((held) =>
      withBackoff(
        BACKOFF,
        signal,
        (error) => !isThrottled(error) && (isTransientAwsError(error) || mayHeal(error)),
        () => pace.run(attempt, isThrottled, signal, held),
      ),
    );
  }

  private async send(
    request: UnsignedRequest,
    signal: AbortSignal,
    payload: { body?: Buffer; into?: Buffer },
  ): Promise<Answer> {
    const { route, signer } = await this.route();
    const { config } = this.ebs;
    const credentials = await config.credentials();
    const path = route.pathPrefix + request.path;
    const sentAt = Date.now();
    const signed = signer.sign(
      { ...request, path, headers: [['host', route.host], ...request.headers] },
      credentials,
      sentAt + config.systemClockOffset,
    );
    const options: Dispatcher.DispatchOptions = {
      origin: route.origin,
      path: request.query === '' ? path : `${path}?${request.query}`,
      method: request.method,
      headers: [
        'host',
        route.host,
        'user-agent',
        route.userAgent,
        ...request.headers.flat(),
        ...signed.flat(),
      ],
      ...(payload.body === undefined ? {} : { body: payload.body }),
    };
    const note = (throttled: boolean): void =>
      requestTally.note('ebs', `${request.method === 'PUT' ? 'Put' : 'Get'}SnapshotBlock`, throttled);
    const answer = await exchange(this.agent, options, payload.into, signal).catch((error: unknown) => {
      note(false);
      throw error;
    });
    if (answer.status >= 200 && answer.status < 300) {
      note(false);
      return answer;
    }
    keepSessionSecret(credentials.secretAccessKey, credentials.sessionToken);
    const error = errorOf(answer);
    note(isThrottled(error));
    this.followClock(error, answer.headers.date, sentAt);
    throw error;
  }

  /** As the SDK does: the clock of AWS counts, and a refusal for a wrong clock is worth another try with it. */
  private followClock(error: Error & { $metadata: object }, date: string | undefined, sentAt: number): void {
    const { config } = this.ebs;
    const serverTime = Date.parse(date ?? '');
    if (Number.isNaN(serverTime)) return;
    const offset = serverTime - Date.now();
    const before = config.systemClockOffset;
    // Less is no refusal's reason: AWS accepts five minutes. An answer that took long tells nothing about the clock.
    if (Math.abs(offset - before) < 240_000 || Date.now() - sentAt > 900_000) return;
    config.systemClockOffset = offset;
    Object.assign(error.$metadata, { clockSkewCorrected: true });
  }

  private route(): Promise<Learned> {
    const learn = async (): Promise<Learned> => {
      const route = await routeOf(this.ebs);
      return { route, signer: new Signer(route.scope), until: Date.now() + ROUTE_AGE_MS };
    };
    const renew = (): Promise<Learned> => {
      const learned = learn();
      // Who waits for it gets the error; whoever comes next tries again.
      learned.catch(() => (this.learned = undefined));
      return learned;
    };
    this.learned ??= renew();
    const present = this.learned;
    return present.then((learned) => {
      if (learned.until > Date.now()) return learned;
      if (this.learned === present) this.learned = renew();
      return this.learned ?? renew();
    });
  }
}

function blockPath(snapshotId: string, index: number): string {
  return `/snapshots/${percentEncoded(snapshotId)}/blocks/${index}`;
}

/** Bytes that are not those which EBS says it sent. */
export class DamagedTransferError extends Error {
  constructor(snapshotId: string, index: number) {
    super(`Block ${index} of ${snapshotId} did not arrive as EBS sent it: its checksum does not match.`);
    this.name = 'DamagedTransferError';
  }
}

function isThrottled(error: unknown): boolean {
  return error instanceof Error && isThrottlingError(error as SdkError);
}

function isDamagedTransfer(error: unknown): boolean {
  return error instanceof DamagedTransferError;
}
