import { type LoadedDataConverter, type ProtoFailure } from '@temporalio/common';
import { decodeFailure } from '@temporalio/common/lib/internal-non-workflow';

/**
 * A failure as a Temporal server keeps it, with the messages that were put into payloads, so that a codec encrypts them, in their places again; those of
 * its causes, too.
 */
export async function readableFailure(
  { payloadCodecs, payloadConverter }: LoadedDataConverter,
  failure: ProtoFailure,
): Promise<ProtoFailure> {
  return readable(await decodeFailure(payloadCodecs, failure));

  function readable(one: ProtoFailure): ProtoFailure {
    const cause = one.cause && readable(one.cause);
    if (one.encodedAttributes == null) return { ...one, cause };
    const attributes = payloadConverter.fromPayload<{ message?: unknown } | null>(one.encodedAttributes);
    const message = attributes?.message;
    return { ...one, cause, ...(typeof message === 'string' ? { message } : {}) };
  }
}
