import { type SdkError } from '@smithy/types';
import { isServerError, isThrottlingError, isTransientError } from '@smithy/core/retry';

/**
 * Whether the same call to AWS may succeed in a moment: throttled, a server's fault, a connection that broke.
 * Which errors those are is the SDK's knowledge; its own retries are off (one layer retries).
 */
export function isTransientAwsError(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const sdkError = error as SdkError;
  return isThrottlingError(sdkError) || isTransientError(sdkError) || isServerError(sdkError);
}
