import { type Payload } from '@temporalio/common';

/** As the JSON of protocol buffers has bytes: base64, of either alphabet. */
const BASE64 = /^[A-Za-z0-9+/_-]*={0,2}$/;
/** Metadata of a payload: a handful. */
const MOST_ENTRIES = 100;

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Payloads of a request of the codec protocol. @param body of any origin @returns undefined where it is none */
export function payloadsOf(body: unknown): Payload[] | undefined {
  if (!isObject(body) || !Array.isArray(body.payloads)) return undefined;
  const payloads = body.payloads.map(payloadOf);
  return payloads.every((payload) => payload !== undefined) ? payloads : undefined;
}

function payloadOf(value: unknown): Payload | undefined {
  if (!isObject(value)) return undefined;
  const { metadata = {}, data = '' } = value;
  const bytes = bytesOf(data);
  if (bytes === undefined || !isObject(metadata)) return undefined;
  const entries = Object.entries(metadata).map(([name, text]) => [name, bytesOf(text)] as const);
  if (entries.length > MOST_ENTRIES || entries.some(([, entry]) => entry === undefined)) return undefined;
  return { metadata: Object.fromEntries(entries) as Record<string, Uint8Array>, data: bytes };
}

function bytesOf(text: unknown): Uint8Array | undefined {
  if (text === null) return new Uint8Array();
  return typeof text === 'string' && BASE64.test(text) ? Buffer.from(text, 'base64') : undefined;
}

/** Payloads as an answer of the codec protocol. */
export function textOfPayloads(payloads: readonly Payload[]): object {
  const text = (bytes: Uint8Array | null | undefined): string => Buffer.from(bytes ?? []).toString('base64');
  return {
    payloads: payloads.map(({ metadata, data }) => ({
      metadata: Object.fromEntries(
        Object.entries(metadata ?? {}).map(([name, bytes]) => [name, text(bytes)]),
      ),
      data: text(data),
    })),
  };
}
