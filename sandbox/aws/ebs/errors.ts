import { type ResourceNotFoundExceptionReason, type ValidationExceptionReason } from '@aws-sdk/client-ebs';
import { AwsError } from '../wire/errors';

/** The request is wrong (EBS direct API Reference, ValidationException). */
export function validation(reason: ValidationExceptionReason, message: string): AwsError {
  return new AwsError('ValidationException', message, 400, { Reason: reason });
}

export function notFound(reason: ResourceNotFoundExceptionReason, message: string): AwsError {
  return new AwsError('ResourceNotFoundException', message, 404, { Reason: reason });
}
