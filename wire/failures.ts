import {
  DefaultFailureConverter,
  type FailureConverter,
  type PayloadConverter,
  type ProtoFailure,
} from '@temporalio/common';

/** What stands for a message that is in the failure's payload; as Temporal's SDKs have it. */
const ENCODED = 'Encoded failure';

/**
 * A failure converter that puts messages and stacks, of causes as well, into payloads, which a codec then encrypts. Temporal's own
 * (`encodeCommonAttributes`) does so, too, but writes over the failure that it was given: one that is told of twice has lost its message.
 */
export function encodingFailures(plain: FailureConverter = new DefaultFailureConverter()): FailureConverter {
  return {
    errorToFailure: (error, payloadConverter, context) =>
      encoded(plain.errorToFailure(error, payloadConverter, context), payloadConverter),
    failureToError: (failure, payloadConverter, context) =>
      plain.failureToError(failure, payloadConverter, context),
  };
}

function encoded(failure: ProtoFailure, converter: PayloadConverter): ProtoFailure {
  const { message, stackTrace, cause, encodedAttributes } = failure;
  return {
    ...failure,
    message: ENCODED,
    stackTrace: '',
    // What came encoded has been decrypted, and is encrypted anew.
    encodedAttributes: encodedAttributes ?? converter.toPayload({ message, stack_trace: stackTrace }),
    ...(cause == null ? {} : { cause: encoded(cause, converter) }),
  };
}
