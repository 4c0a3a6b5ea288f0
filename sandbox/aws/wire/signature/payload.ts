import { AwsError } from '../errors';
import { type Service } from '../service';

/**
 * What a signature says of the payload:
 * - `digest`: its SHA-256 is in the request, and is compared when the payload has been read;
 * - `unsigned`: nothing;
 * - `chunks`: each chunk has a signature, and so has the trailer;
 * - `read first`: the signature holds its SHA-256, which is in the request nowhere else.
 */
export type SignedPayload =
  | { kind: 'digest'; sha256: string }
  | { kind: 'unsigned'; word: string }
  | { kind: 'chunks'; word: string }
  | { kind: 'read first' };

const UNSIGNED = 'UNSIGNED-PAYLOAD';
const UNSIGNED_TRAILER = 'STREAMING-UNSIGNED-PAYLOAD-TRAILER';
const SIGNED_CHUNKS = 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD';
const SIGNED_CHUNKS_TRAILER = 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER';
const HEX_SHA256 = /^[0-9a-f]{64}$/;

/**
 * @param declared the header `x-amz-content-sha256`, or the parameter of a presigned URL
 * @throws AwsError InvalidRequest, InvalidArgument of S3
 */
export function signedPayload(
  service: Service,
  request: { method: string; presigned: boolean; declared: string | undefined },
): SignedPayload {
  const { method, presigned, declared } = request;
  if (service.signingName === 's3') return ofS3(presigned, declared);
  if (service.kind === 'restJson1') {
    // Blocks are large and their digest is there before them; the model lets PutSnapshotBlock, the one PUT, do without.
    if (declared !== undefined && HEX_SHA256.test(declared)) return { kind: 'digest', sha256: declared };
    if (declared === UNSIGNED && method === 'PUT') return { kind: 'unsigned', word: UNSIGNED };
  }
  return { kind: 'read first' };
}

function ofS3(presigned: boolean, declared: string | undefined): SignedPayload {
  switch (declared) {
    case undefined:
      if (presigned) return { kind: 'unsigned', word: UNSIGNED };
      throw new AwsError('InvalidRequest', 'Missing required header for this request: x-amz-content-sha256');
    case UNSIGNED:
    case UNSIGNED_TRAILER:
      return { kind: 'unsigned', word: declared };
    case SIGNED_CHUNKS:
    case SIGNED_CHUNKS_TRAILER:
      return { kind: 'chunks', word: declared };
    default:
      if (HEX_SHA256.test(declared)) return { kind: 'digest', sha256: declared };
      throw new AwsError(
        'InvalidArgument',
        `x-amz-content-sha256 must be ${UNSIGNED}, ${UNSIGNED_TRAILER}, ${SIGNED_CHUNKS}, ${SIGNED_CHUNKS_TRAILER} or a valid sha256 value.`,
        400,
        { ArgumentName: 'x-amz-content-sha256', ArgumentValue: declared },
      );
  }
}
