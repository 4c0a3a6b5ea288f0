/**
 * One thing that goes wrong at the endpoint, and when. Rules are kept in a file of the endpoint's directory
 * ({@link FAULTS_FILE}) as `{"rules": FaultRule[]}`; the endpoint looks at the file before a request whenever it has
 * changed, so that faults begin and end without a restart, and a restarted endpoint goes on with them.
 */
export interface FaultRule {
  /** Says which rule struck, in the endpoint's log and in {@link STRUCK_FILE}. Differs from all others. */
  name: string;
  /** Operations that it strikes, such as `CreateVolume`; every one of the services where it is absent. */
  operations?: string[];
  /** Signing names of services, such as `ec2`, `ebs`, `s3`, `route53`; all where it is absent. */
  services?: string[];
  /** Only requests whose input, as JSON, has this text in it: an id, a tag's value, a key's prefix. */
  matches?: string;
  /** Share of the matching requests that it strikes, 0 to 1; all where it is absent. */
  probability?: number;
  /** Seed of the numbers that `probability` is drawn from. */
  seed?: number;
  /** Matching requests that pass before the first is struck. */
  skip?: number;
  /** Strikes that it has at most, over the life of the file; without end where it is absent. */
  times?: number;
  fault: Fault;
}

export type Fault =
  /** Refused with an AWS error, before or (`carriedOut`) after it took effect. */
  | { kind: 'error'; code: string; message?: string; status?: number; carriedOut?: boolean }
  /** The connection is reset: before the request takes effect, or (`carriedOut`) after, so that its answer is lost. */
  | { kind: 'reset'; carriedOut?: boolean }
  /** Answered late, by so many milliseconds. */
  | { kind: 'slow'; milliseconds: number }
  /** Refused beyond so many requests a second, as the API's own token buckets do (Amazon EC2 Developer Guide, throttling). */
  | { kind: 'throttle'; perSecond: number; burst: number }
  /** What was created less than so many seconds ago "does not exist" yet to calls that name it. */
  | { kind: 'eventual-consistency'; seconds: number }
  /** The snapshot, volume or instance made by the struck request ends in state `error` (an instance: terminated). */
  | { kind: 'resource-error' }
  /** What the struck request began (a volume, a snapshot, an attachment, a DNS change) stays so for so many seconds. */
  | { kind: 'stuck'; seconds: number }
  /** S3 GetObject: one byte of the answer is altered, or only its first half comes. */
  | { kind: 'damaged-answer'; how: 'altered' | 'short' };

/** In the endpoint's directory: the rules; absent where nothing goes wrong. */
export const FAULTS_FILE = 'faults.json';
/** In the endpoint's directory: strikes so far by the rule's name, as `{"name": 3}`. */
export const STRUCK_FILE = 'faults-struck.json';
