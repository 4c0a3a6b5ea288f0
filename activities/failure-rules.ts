/** What an error of AWS or of this host means for a run. */
export interface FailureRule {
  /** Type of the ApplicationFailure. */
  type: string;
  /** Whether the same call may succeed later with nobody's help. */
  retryable: boolean;
  /** Seconds until the next try, where it is not for the activity's retry policy to say. */
  delaySeconds?: number;
  /** What a person can do; ends the message. */
  advice?: string;
  /** The error's message is whole sentences for people already. */
  whole?: true;
}

const throttled: FailureRule = {
  type: 'Throttled',
  retryable: true,
  // EC2's smallest bucket refills 2 tokens a second; ten seconds let several waiting callers through.
  delaySeconds: 10,
};
const noCapacity: FailureRule = {
  type: 'NoCapacity',
  retryable: false,
  advice: 'Name a further instance type in the plan, or another Availability Zone.',
};
const notPermitted: FailureRule = {
  type: 'NotPermitted',
  retryable: false,
  advice: "Add the action to the IAM role of the worker (docs/aws.md lists a worker's actions).",
};
const credentials: FailureRule = {
  type: 'BadCredentials',
  retryable: false,
  advice: 'Check the credentials that the worker was started with.',
};
/** Ids of things that the run has just made; another of AWS's servers may not know them yet. */
const notYetVisible: FailureRule = { type: 'NotYetVisible', retryable: true, delaySeconds: 3 };
/** Ids that a person wrote, or names of things outside of the run. */
const notFound: FailureRule = { type: 'NotFound', retryable: false, advice: 'Check the id in the plan.' };
const invalid: FailureRule = { type: 'InvalidRequest', retryable: false };
const wrongState: FailureRule = { type: 'WrongState', retryable: true, delaySeconds: 5 };
const awsTrouble: FailureRule = { type: 'AwsTrouble', retryable: true };
const network: FailureRule = { type: 'Network', retryable: true };
const diskFull: FailureRule = {
  type: 'DiskFull',
  retryable: true,
  // Somebody has to make room first.
  delaySeconds: 60,
  advice: "Make room on the worker's disk; the run goes on by itself then.",
};

/** Errors of our own that no later try can heal. */
const refusal = (type: string): FailureRule => ({ type, retryable: false, whole: true });
const quota = (name: string): FailureRule => ({
  type: 'QuotaExceeded',
  retryable: false,
  advice: `The quota is "${name}". Ask for more in the Service Quotas console, or make room.`,
});
/** Quotas on work under way, which makes room by itself. */
const busy: FailureRule = { type: 'Throttled', retryable: true, delaySeconds: 60 };

/**
 * By error code: "Error codes for the Amazon EC2 API" (EC2 API Reference), the exceptions of the EBS direct APIs,
 * Route 53 and S3, and Node's system errors. Quotas by their names in Service Quotas.
 */
const BY_CODE: Record<string, FailureRule> = {
  RequestLimitExceeded: throttled,
  Throttling: throttled,
  ThrottlingException: throttled,
  ThrottledException: throttled,
  RequestThrottled: throttled,
  RequestThrottledException: throttled,
  TooManyRequestsException: throttled,
  SlowDown: throttled,
  SnapshotCreationPerVolumeRateExceeded: { ...throttled, delaySeconds: 20 },
  PriorRequestNotComplete: throttled,
  ConcurrentSnapshotLimitExceeded: busy,
  PendingSnapshotLimitExceeded: busy,
  ConcurrentLimitExceededException: busy,

  InsufficientInstanceCapacity: noCapacity,
  InsufficientHostCapacity: noCapacity,
  InsufficientReservedInstanceCapacity: noCapacity,
  InsufficientCapacity: noCapacity,
  InsufficientVolumeCapacity: { type: 'NoCapacity', retryable: true, delaySeconds: 60 },
  InsufficientFreeAddressesInSubnet: {
    type: 'SubnetFull',
    retryable: false,
    advice: 'Free addresses in the subnet of the plan, or name a larger one.',
  },
  'InvalidIPAddress.InUse': {
    type: 'AddressInUse',
    // The address of an instance that is being terminated comes free with it.
    retryable: true,
    delaySeconds: 10,
    advice: 'Free the privateAddress that the plan names.',
  },

  VcpuLimitExceeded: quota(
    'Running On-Demand instances (vCPUs) of the instance family; L-1216C47A for the standard ones',
  ),
  InstanceLimitExceeded: quota('Running On-Demand instances'),
  MaxIOPSLimitExceeded: quota('IOPS of the volume type'),
  VolumeLimitExceeded: quota(
    'Storage for volumes of the type, in TiB; L-7A658B76 for General Purpose SSD (gp3)',
  ),
  SnapshotLimitExceeded: quota('Snapshots per Region; L-309BACF6'),
  ServiceQuotaExceededException: quota('Snapshots per Region, or pending EBS direct snapshots'),
  NetworkInterfaceLimitExceeded: quota('Network interfaces per Region; L-DF5E4CA3'),
  ResourceLimitExceeded: quota('named in the message'),
  AttachmentLimitExceeded: { type: 'WrongState', retryable: true, delaySeconds: 30 },

  UnauthorizedOperation: notPermitted,
  AccessDenied: notPermitted,
  AccessDeniedException: notPermitted,
  // SNS.
  AuthorizationError: notPermitted,
  AuthorizationErrorException: notPermitted,
  OperationNotPermitted: notPermitted,
  'Client.UnauthorizedOperation': notPermitted,
  AuthFailure: credentials,
  InvalidAccessKeyId: credentials,
  InvalidClientTokenId: credentials,
  MissingAuthenticationToken: credentials,
  SignatureDoesNotMatch: credentials,
  UnrecognizedClientException: credentials,
  IncompleteSignature: credentials,
  OptInRequired: credentials,
  PendingVerification: {
    ...credentials,
    advice: 'AWS is still verifying the account; try again when it has.',
  },
  RequestTimeTooSkewed: { ...credentials, advice: "Set the worker's clock." },
  // The SDK fetches new ones of a role by itself, so these heal. The first is EC2's word for the same.
  RequestExpired: { ...credentials, retryable: true, delaySeconds: 30 },
  ExpiredToken: { ...credentials, retryable: true, delaySeconds: 30 },
  ExpiredTokenException: { ...credentials, retryable: true, delaySeconds: 30 },
  CredentialsProviderError: { ...credentials, retryable: true, delaySeconds: 10 },

  'InvalidInstanceID.NotFound': notYetVisible,
  'InvalidVolume.NotFound': notYetVisible,
  'InvalidSnapshot.NotFound': notYetVisible,
  'InvalidNetworkInterfaceID.NotFound': notYetVisible,
  'InvalidAMIID.NotFound': notYetVisible,
  'InvalidAMIID.Unavailable': notYetVisible,
  ResourceNotFoundException: notYetVisible,
  'InvalidSubnetID.NotFound': notFound,
  'InvalidGroup.NotFound': notFound,
  'InvalidVpcID.NotFound': notFound,
  'InvalidKeyPair.NotFound': notFound,
  'InvalidZone.NotFound': notFound,
  NoSuchHostedZone: { ...notFound, advice: 'Check dns.hostedZone in the plan.' },
  NoSuchBucket: { ...notFound, advice: 'Check repository.bucket in the plan.' },
  InvalidInstanceType: { ...notFound, advice: 'Check instanceTypes in the plan.' },
  KMSKeyNotFound: { ...notFound, advice: 'Check recoverySite.kmsKey in the plan.' },
  'InvalidKey.Unavailable': { ...notFound, advice: 'Check recoverySite.kmsKey in the plan.' },

  IncorrectState: wrongState,
  IncorrectInstanceState: wrongState,
  'IncorrectState.Snapshot': wrongState,
  'InvalidSnapshot.InUse': wrongState,
  VolumeInUse: wrongState,
  'InvalidNetworkInterface.InUse': wrongState,
  ConflictException: wrongState,
  OperationAborted: wrongState,

  IdempotentParameterMismatch: invalid,
  InvalidChangeBatch: invalid,
  InvalidInput: invalid,
  MissingParameter: invalid,
  Unsupported: invalid,
  UnsupportedOperation: invalid,
  ValidationException: invalid,
  ValidationError: invalid,
  InvalidAction: { ...invalid, advice: 'The endpoint does not know this operation.' },
  NotImplemented: { ...invalid, advice: 'The endpoint does not know this operation.' },

  InternalError: awsTrouble,
  InternalFailure: awsTrouble,
  InternalServerException: awsTrouble,
  ServerInternal: awsTrouble,
  ServiceUnavailable: awsTrouble,
  Unavailable: awsTrouble,
  RequestTimeout: awsTrouble,

  TimeoutError: network,
  NetworkingError: network,
  ECONNREFUSED: network,
  ECONNRESET: network,
  ECONNABORTED: network,
  ETIMEDOUT: network,
  EPIPE: network,
  ENOTFOUND: network,
  EAI_AGAIN: network,
  EHOSTUNREACH: network,
  ENETUNREACH: network,
  ENETDOWN: network,

  ENOSPC: diskFull,
  EDQUOT: diskFull,
  EMFILE: { type: 'HostLimit', retryable: true, advice: "Raise the worker's limit of open files." },
  ENFILE: { type: 'HostLimit', retryable: true, advice: "Raise the host's limit of open files." },
  EACCES: { type: 'HostPermission', retryable: false, advice: 'Give the worker access to the path.' },
  EPERM: {
    type: 'HostPermission',
    retryable: false,
    advice: 'Run the worker with the rights that docs/aws.md names.',
  },
  EROFS: { type: 'HostPermission', retryable: false, advice: 'The file system is mounted read-only.' },
  EBUSY: {
    type: 'HostBusy',
    retryable: true,
    delaySeconds: 10,
    advice:
      'Something else on the host uses it: unmount it, or keep LVM from activating volume groups of guests.',
  },
  EIO: { type: 'DiskError', retryable: true, delaySeconds: 10 },

  GuestNotAdaptableError: refusal('GuestNotAdaptable'),
  // Somebody has to install something first; the messages say what.
  ToolTooOldError: { type: 'ToolTooOld', retryable: true, delaySeconds: 60, whole: true },
  ToolMissingError: { type: 'ToolMissing', retryable: true, delaySeconds: 60, whole: true },
  ApplianceMissingError: { type: 'ApplianceMissing', retryable: true, delaySeconds: 60, whole: true },
  // Room or memory of this host, which may be there again, or on another proxy.
  BackupDiskLostError: { type: 'BackupDiskLost', retryable: true, delaySeconds: 60, whole: true },
  // A machine of its own for each try, and nothing on the disks before it has ended well.
  ApplianceError: { type: 'ApplianceFailed', retryable: true, whole: true },
  VmNotFoundError: refusal('VmNotFound'),
  VmExistsError: refusal('VmExists'),
  VmRefusedError: refusal('VmRefused'),
  SnapshotLostError: refusal('SnapshotLost'),
  DiskImageError: refusal('DiskImageRefused'),
  VmFileError: refusal('VmFileRefused'),
  InvalidNameError: refusal('InvalidName'),
  PlanNotFoundError: refusal('PlanNotFound'),
  NoSuchPointError: refusal('NoSuchPoint'),
  WrongPhaseError: refusal('WrongPhase'),
  FencedError: refusal('Fenced'),
  DamagedObjectError: refusal('DamagedObject'),
  MissingObjectsError: refusal('MissingObjects'),
  AbandonedError: refusal('Abandoned'),
  DamagedBlockError: refusal('DamagedBlock'),
  BlockMapError: refusal('DamagedObject'),
  DataBeyondDiskError: refusal('DataBeyondDisk'),
  BadTagsError: refusal('BadTags'),
  ConflictError: { type: 'Conflict', retryable: true },
};

/** The rule for an error code, or, for one that is not listed, for its kind or HTTP status. */
export function ruleFor(code: string | undefined, httpStatus: number | undefined): FailureRule | undefined {
  const listed = code !== undefined && Object.hasOwn(BY_CODE, code) ? BY_CODE[code] : undefined;
  if (listed !== undefined) return listed;
  if (httpStatus === 429) return throttled;
  if (httpStatus !== undefined && httpStatus >= 500) return awsTrouble;
  if (code === undefined) return undefined;
  if (/^Invalid.*(Malformed|NotFound)$|^InvalidParameter|^Malformed|^Invalid[A-Z]\w*$/.test(code))
    return invalid;
  if (httpStatus === 401 || httpStatus === 403) return notPermitted;
  if (httpStatus === 400) return invalid;
  return undefined;
}
