import { hash } from 'node:crypto';
import { connect } from 'node:net';
import { BLOCK_SIZE } from '../blocks/port';
import { makeBlock } from './disk';
import { ACCESS_KEY_ID, REGION } from './endpoints';

/** Connections; more make it no faster. */
const CONNECTIONS = 8;
/** Bytes of answers that are taken from the kernel at once. */
const READ_BYTES = 256 * 1024;

const AUTHORIZATION =
  `AWS4-HMAC-SHA256 Credential=${ACCESS_KEY_ID}/20260101/${REGION}/ebs/aws4_request, ` +
  'SignedHeaders=host, Signature=none';

/** The same block again and again, its hash known: nothing is left for the client to do but to send. */
export function putRequests(snapshotId: string): (index: number) => [string, Buffer] {
  const block = makeBlock('incompressible', 'ceiling');
  const checksum = hash('sha256', block, 'base64');
  return (index) => [
    `PUT /snapshots/${snapshotId}/blocks/${index} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: ${AUTHORIZATION}\r\n` +
      `x-amz-checksum: ${checksum}\r\nx-amz-checksum-algorithm: SHA256\r\nx-amz-data-length: ${BLOCK_SIZE}\r\n` +
      `content-length: ${BLOCK_SIZE}\r\n\r\n`,
    block,
  ];
}

/** GetSnapshotBlock; what comes is thrown away. */
export function getRequests(snapshotId: string): (index: number) => [string] {
  return (index) => [
    `GET /snapshots/${snapshotId}/blocks/${index}?blockToken=token${index} HTTP/1.1\r\nhost: 127.0.0.1\r\n` +
      `authorization: ${AUTHORIZATION}\r\n\r\n`,
  ];
}

/** Sends requests for those blocks over a few connections; returns when all are answered. */
export async function sendAll(
  endpoint: string,
  indexes: readonly number[],
  request: (index: number) => [string, Buffer?],
): Promise<void> {
  const queue = indexes.values();
  await Promise.all(Array.from({ length: CONNECTIONS }, () => sendOnOne(new URL(endpoint), queue, request)));
}

function sendOnOne(
  { hostname, port }: URL,
  queue: IterableIterator<number>,
  request: (index: number) => [string, Buffer?],
): Promise<void> {
  return new Promise((done, failed) => {
    /** Bytes of the answer's body that are still to come; undefined before its head. */
    let left: number | undefined;
    const socket = connect({
      host: hostname,
      port: Number(port),
      noDelay: true,
      onread: {
        buffer: Buffer.allocUnsafeSlow(READ_BYTES),
        callback(bytes, memory) {
          left =
            left === undefined
              ? readHead(Buffer.from(memory.buffer, memory.byteOffset, bytes))
              : left - bytes;
          if (left === 0) next();
          return true;
        },
      },
    });
    const readHead = (bytes: Buffer): number => {
      const end = bytes.indexOf('\r\n\r\n');
      const head = bytes.toString('latin1', 0, end);
      const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1];
      if (end < 0 || !head.startsWith('HTTP/1.1 20') || length === undefined)
        socket.destroy(new Error(`The endpoint answered: ${bytes.toString('latin1')}`));
      return Number(length) - (bytes.length - end - 4);
    };
    const next = (): void => {
      left = undefined;
      const { value, done: empty } = queue.next();
      if (empty) return void socket.destroy();
      const [head, body] = request(value as number);
      socket.write(head, 'latin1');
      if (body !== undefined) socket.write(body);
    };
    socket.once('connect', next);
    socket.once('error', failed);
    socket.once('close', () => done());
  });
}
