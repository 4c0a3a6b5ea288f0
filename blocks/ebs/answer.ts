import {
  AccessDeniedException,
  ConcurrentLimitExceededException,
  ConflictException,
  EBSServiceException,
  InternalServerException,
  RequestThrottledException,
  ResourceNotFoundException,
  ServiceQuotaExceededException,
  ValidationException,
} from '@aws-sdk/client-ebs';
import { withoutSecrets } from '../../host/secrets';
import { type Answer } from '../exchange';

/** The exceptions of the service, as the SDK has them. */
const EXCEPTIONS = {
  AccessDeniedException,
  ConcurrentLimitExceededException,
  ConflictException,
  InternalServerException,
  RequestThrottledException,
  ResourceNotFoundException,
  ServiceQuotaExceededException,
  ValidationException,
};

/**
 * The error that the SDK would have thrown: same class, name, reason, status and request id (protocol "restJson1").
 */
export function errorOf(answer: Answer): EBSServiceException {
  const body = parse(answer.text);
  const named = answer.headers['x-amzn-errortype'] ?? text(body.__type) ?? text(body.code);
  // `ValidationException:http://…` and `com.amazonaws.ebs#ValidationException` are both seen.
  const name = named?.replace(/:.*$/, '').replace(/^.*#/, '') ?? `HTTP${answer.status}`;
  const message = withoutSecrets(
    text(body.message) ?? text(body.Message) ?? `The EBS direct API answered ${answer.status}.`,
  );
  const $metadata = {
    httpStatusCode: answer.status,
    requestId: answer.headers['x-amzn-requestid'] ?? answer.headers['x-amz-request-id'],
  };
  const Reason = text(body.Reason) as never;
  const Exception = Object.hasOwn(EXCEPTIONS, name) ? EXCEPTIONS[name as keyof typeof EXCEPTIONS] : undefined;
  if (Exception !== undefined) return new Exception({ message, Reason, $metadata });
  return new EBSServiceException({
    name,
    message,
    $fault: answer.status >= 500 ? 'server' : 'client',
    $metadata,
  });
}

function parse(json: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(json);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    // A proxy's or load balancer's page; the status says what there is to say.
    return {};
  }
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
