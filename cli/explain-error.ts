import { isGrpcServiceError, ServiceError } from '@temporalio/client';
import { toFailure } from '../activities/failures';
import { isUnreachable } from '../client/connect';
import { AlreadyRunningError, CannotConnectError, NotWaitingError, RunFailedError } from '../client/errors';
import { PlanError } from '../plan/plan-error';
import { DamagedObjectError } from '../repository/objects/json-object';
import { PlanNotFoundError } from '../repository/plans/plans';
import { WireError } from '../wire/wire-error';
import { CliError, EXIT } from './exit-codes';

/** Types of failure of AWS calls in which the site, not the input, is in the way. */
const SITE_TROUBLE = new Set(['Network', 'BadCredentials', 'NotPermitted', 'AwsTrouble', 'Throttled']);

/** gRPC: the server does not know us; it knows us, and we may not. */
const UNAUTHENTICATED = 16;
const PERMISSION_DENIED = 7;

/** Whatever was thrown, as one line with an exit code. */
export function explainError(error: unknown): CliError {
  if (error instanceof CliError) return error;
  if (error instanceof PlanError)
    return new CliError(
      error.message,
      EXIT.badInput,
      {
        file: error.file,
        line: error.location?.line,
        column: error.location?.column,
        field: error.field === '' ? undefined : error.field,
      },
      { cause: error },
    );
  const because = { cause: error };
  if (error instanceof RunFailedError)
    return new CliError(
      error.sentence,
      EXIT.failed,
      { type: error.type, vm: error.vm, step: error.step },
      because,
    );
  if (error instanceof AlreadyRunningError)
    return new CliError(error.message, EXIT.alreadyRunning, { runId: error.runId }, because);
  if (error instanceof NotWaitingError) return new CliError(error.message, EXIT.failed, {}, because);
  if (error instanceof CannotConnectError)
    return new CliError(error.message, EXIT.cannotConnect, {}, because);
  if (error instanceof WireError) return new CliError(error.message, EXIT.badInput, {}, because);
  if (error instanceof PlanNotFoundError || error instanceof DamagedObjectError)
    return new CliError(error.message, EXIT.badInput, {}, because);
  return temporalError(error) ?? awsError(error) ?? new CliError(messageOf(error), EXIT.failed, {}, because);
}

function temporalError(error: unknown): CliError | undefined {
  if (isUnreachable(error))
    return new CliError(
      'Temporal does not answer any more; try again when it does.',
      EXIT.cannotConnect,
      {},
      { cause: error },
    );
  const cause = error instanceof ServiceError ? error.cause : error;
  if (!isGrpcServiceError(cause)) return undefined;
  if (cause.code === PERMISSION_DENIED)
    return new CliError(
      `Temporal does not let you do that: ${cause.details.replace(/[\s.]+$/, '')}. Who may what is settled before it (docs/security.md).`,
      EXIT.cannotConnect,
      {},
      { cause: error },
    );
  if (cause.code === UNAUTHENTICATED)
    return new CliError(
      `Temporal does not let us in (${cause.details}); look at TEMPORAL_API_KEY, and at what that key may do in TEMPORAL_NAMESPACE.`,
      EXIT.cannotConnect,
      {},
      { cause: error },
    );
  if (/namespace/i.test(cause.details))
    return new CliError(
      `${cause.details}; check TEMPORAL_NAMESPACE.`,
      EXIT.cannotConnect,
      {},
      { cause: error },
    );
  return new CliError(`Temporal refused: ${cause.details}.`, EXIT.failed, {}, { cause: error });
}

function awsError(error: unknown): CliError | undefined {
  const isAws =
    error instanceof Error &&
    ('$metadata' in error ||
      '$fault' in error ||
      error.name === 'CredentialsProviderError' ||
      isSystemError(error));
  if (!isAws) return undefined;
  const failure = toFailure(error, 'reach the recovery site');
  const type = failure.type ?? '';
  const exitCode = SITE_TROUBLE.has(type)
    ? EXIT.cannotConnect
    : type === 'NotFound'
      ? EXIT.badInput
      : EXIT.failed;
  return new CliError(failure.message, exitCode, { type: failure.type ?? undefined }, { cause: error });
}

function isSystemError(error: Error): boolean {
  return (
    'syscall' in error &&
    'code' in error &&
    /^(E(CONN|HOST|NET|TIMEDOUT|PIPE|AI_)|ENOTFOUND)/.test(String(error.code))
  );
}

const messageOf = (error: unknown): string =>
  error instanceof Error ? error.message || error.name : String(error);
