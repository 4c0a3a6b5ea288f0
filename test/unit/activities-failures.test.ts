import { EC2ServiceException } from '@aws-sdk/client-ec2';
import { CompleteAsyncError } from '@temporalio/activity';
import { ApplicationFailure, CancelledFailure } from '@temporalio/common';
import { hasCode, nameActionOf, toFailure, withFailures, withoutSecrets } from '../../activities/failures';
import { keepSecret } from '../../host/secrets';
import { GuestNotAdaptableError, ToolTooOldError } from '../../guest/port';

const awsError = (name: string, message = `${name} happened`, httpStatusCode = 400): EC2ServiceException =>
  new EC2ServiceException({
    name,
    message,
    $fault: 'client',
    $metadata: { httpStatusCode, requestId: 'r-1' },
  });
const systemError = (code: string): Error =>
  Object.assign(new Error(`connect ${code} 127.0.0.1:1`), { code });

describe('toFailure', () => {
  it.each([
    ['RequestLimitExceeded', 'Throttled', true],
    ['InvalidVolume.NotFound', 'NotYetVisible', true],
    ['InvalidSubnetID.NotFound', 'NotFound', false],
    ['InvalidVolumeID.Malformed', 'InvalidRequest', false],
    ['InvalidSomethingNew', 'InvalidRequest', false],
    ['InsufficientInstanceCapacity', 'NoCapacity', false],
    ['InsufficientHostCapacity', 'NoCapacity', false],
    ['VcpuLimitExceeded', 'QuotaExceeded', false],
    ['UnauthorizedOperation', 'NotPermitted', false],
    ['AuthFailure', 'BadCredentials', false],
    ['RequestExpired', 'BadCredentials', true],
    ['ExpiredToken', 'BadCredentials', true],
    ['ExpiredTokenException', 'BadCredentials', true],
    ['IdempotentParameterMismatch', 'InvalidRequest', false],
    ['IncorrectInstanceState', 'WrongState', true],
    ['InternalError', 'AwsTrouble', true],
    ['constructor', 'InvalidRequest', false],
  ])('maps the AWS code %s to %s', (code, type, retryable) => {
    const failure = toFailure(awsError(code), 'launch db');
    expect(failure).toBeInstanceOf(ApplicationFailure);
    expect(failure.type).toBe(type);
    expect(failure.nonRetryable).toBe(!retryable);
    expect(failure.message).toContain('Could not launch db');
    expect(failure.details?.[0]).toMatchObject({ code, requestId: 'r-1' });
  });

  it('goes by the HTTP status where the code is unheard of', () => {
    expect(toFailure(awsError('Whatever', 'no', 503), 'x')).toMatchObject({
      type: 'AwsTrouble',
      nonRetryable: false,
    });
    expect(toFailure(awsError('Whatever', 'no', 403), 'x')).toMatchObject({
      type: 'NotPermitted',
      nonRetryable: true,
    });
    expect(toFailure(awsError('Whatever', 'no', 429), 'x').nextRetryDelay).toBeDefined();
  });

  it('waits before trying a throttled call again, not always equally long', () => {
    const delays = Array.from({ length: 20 }, () =>
      Number(toFailure(awsError('Throttling'), 'x').nextRetryDelay),
    );
    expect(Math.min(...delays)).toBeGreaterThanOrEqual(10_000);
    expect(Math.max(...delays)).toBeLessThanOrEqual(15_000);
    expect(new Set(delays).size).toBeGreaterThan(1);
  });

  it('names the quota', () => {
    expect(toFailure(awsError('VcpuLimitExceeded'), 'launch db').message).toContain('L-1216C47A');
  });

  it('names the action that is not permitted, as AWS tells it or as it was asked for', () => {
    const told = awsError(
      'UnauthorizedOperation',
      'You are not authorized to perform this operation. User: arn:aws:iam::1:user/x is not authorized to perform: ec2:RunInstances on resource: *',
    );
    expect(toFailure(told, 'x').message).toContain('The action is ec2:RunInstances.');
    const silent = awsError('UnauthorizedOperation', 'You are not authorized to perform this operation.');
    nameActionOf(silent, 'ec2:StopInstances');
    nameActionOf(silent, 'ec2:Other');
    expect(toFailure(silent, 'x').message).toContain('The action is ec2:StopInstances.');
  });

  it.each([
    ['ECONNREFUSED', 'Network', true],
    ['ENOSPC', 'DiskFull', true],
    ['EACCES', 'HostPermission', false],
  ])('maps the system error %s to %s', (code, type, retryable) => {
    expect(toFailure(systemError(code), 'x')).toMatchObject({ type, nonRetryable: !retryable });
  });

  it('tells what a connection tried over several addresses met', () => {
    const error = Object.assign(new AggregateError([systemError('ECONNREFUSED')]), { code: 'ECONNREFUSED' });
    const failure = toFailure(error, 'ask EC2');
    expect(failure.type).toBe('Network');
    expect(failure.message).toContain('connect ECONNREFUSED');
  });

  it('retries what nobody foresaw, and keeps what is a failure already', () => {
    expect(toFailure(new Error('odd'), 'x')).toMatchObject({ type: 'Unexpected', nonRetryable: false });
    expect(toFailure('text', 'x').message).toBe('Could not x: text.');
    const failure = ApplicationFailure.nonRetryable('m', 'T');
    expect(toFailure(failure, 'x')).toBe(failure);
  });

  it('passes sentences for people on as they are', () => {
    expect(toFailure(new GuestNotAdaptableError('The guest has no nvme module.'), 'x')).toMatchObject({
      type: 'GuestNotAdaptable',
      nonRetryable: true,
      message: 'The guest has no nvme module.',
    });
    // A tool that is to be installed is no fault of the guest's: the run goes on once it is there.
    expect(toFailure(new ToolTooOldError("This proxy's e2fsprogs is too old."), 'x')).toMatchObject({
      type: 'ToolTooOld',
      nonRetryable: false,
      message: "This proxy's e2fsprogs is too old.",
    });
  });

  it('keeps keys, signatures and encoded policies out of message and stack', () => {
    const secrets =
      'AKIAABCDEFGHIJKLMNOP X-Amz-Signature=abcdef0123 Encoded authorization failure message: kYZx9secretblob secretAccessKey=wJalrXUtnFEMI';
    const failure = toFailure(awsError('UnauthorizedOperation', secrets), 'x');
    const told = JSON.stringify([failure.message, failure.stack, failure.details]);
    for (const secret of ['ABCDEFGHIJKLMNOP', 'abcdef0123', 'kYZx9secretblob', 'wJalrXUtnFEMI'])
      expect(told).not.toContain(secret);
    expect(failure.cause).toBeUndefined();
    expect(withoutSecrets('x'.repeat(10_000)).length).toBeLessThanOrEqual(2000);
  });
});

describe('withFailures', () => {
  const throwing = (error: unknown) =>
    withFailures({ createVolumes: async (_input: { vm: string }) => Promise.reject(error) });

  it('says which activity failed, and for whom', async () => {
    await expect(throwing(awsError('InternalError')).createVolumes({ vm: 'db' })).rejects.toMatchObject({
      type: 'AwsTrouble',
      message: expect.stringContaining('"create volumes" of db') as string,
    });
  });

  it.each([
    ['cancellation', new CancelledFailure('CANCELLED')],
    ['an abort', Object.assign(new Error('aborted'), { name: 'AbortError' })],
    ['completion elsewhere', new CompleteAsyncError()],
  ])('leaves %s alone', async (_what, error) => {
    await expect(throwing(error).createVolumes({ vm: 'db' })).rejects.toBe(error);
  });

  it('keeps secrets out of all that a failure of ours has with it', async () => {
    keepSecret('correct horse battery');
    const failure = ApplicationFailure.create({
      message: 'Not all of it is there.',
      details: [['user admin, password=hunter2hunter2'], { at: { said: 'correct horse battery', code: 3 } }],
      cause: new Error('correct horse battery'),
    });
    failure.stack = 'Error: AKIAABCDEFGHIJKLMNOP';
    await expect(throwing(failure).createVolumes({ vm: 'db' })).rejects.toBe(failure);
    expect(failure.details).toEqual([['user admin, password=…'], { at: { said: '…', code: 3 } }]);
    expect(failure.stack).toBe('Error: AKIA…');
    expect(failure.cause?.message).toBe('…');
  });

  it('returns what the activity returns', async () => {
    const { double } = withFailures({ double: async (input: { n: number }) => Promise.resolve(2 * input.n) });
    await expect(double({ n: 21 })).resolves.toBe(42);
  });
});

it('hasCode knows AWS and system codes', () => {
  expect(hasCode(awsError('VolumeInUse'), 'Other', 'VolumeInUse')).toBe(true);
  expect(hasCode(systemError('ENOENT'), 'ENOENT')).toBe(true);
  expect(hasCode(new Error('VolumeInUse'), 'VolumeInUse')).toBe(false);
  expect(hasCode(undefined, 'VolumeInUse')).toBe(false);
});
