import { createHmac, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import { type AddressInfo } from 'node:net';

/** One call, as it came. */
export interface Call {
  headers: IncomingHttpHeaders;
  body: string;
  id: string;
}

/** What a notice looks like to whoever gets it. */
export interface Received {
  schema: number;
  id: string;
  type: string;
  timestamp: string;
  data: { plan: string; text: string; [field: string]: unknown };
}

/** The secret that the receivers of tests check by. */
export const WEBHOOK_SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';

/** A receiver of webhooks on a loopback address, which can be down and up again at the same port. */
export class WebhookReceiver {
  readonly calls: Call[] = [];
  /** What it answers. */
  status = 204;
  headers: Record<string, string> = {};
  private server: Server | undefined;
  private port = 0;

  async up(): Promise<void> {
    const server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const body = Buffer.concat(chunks).toString();
        this.calls.push({ headers: request.headers, body, id: String(request.headers['webhook-id']) });
        response.writeHead(this.status, this.headers).end();
      });
    });
    this.server = server;
    await new Promise<void>((up) => server.listen(this.port, '127.0.0.1', up));
    this.port = (server.address() as AddressInfo).port;
  }

  /** Nobody listens there any more. */
  async down(): Promise<void> {
    const { server } = this;
    this.server = undefined;
    if (server === undefined) return;
    const closed = new Promise<void>((done) => server.close(() => done()));
    server.closeAllConnections();
    await closed;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}/lifeboat`;
  }

  /** What it got and took, in order of arrival. @throws Error where a signature is not good */
  get received(): Received[] {
    return this.calls.map((call) => {
      requireSigned(call, WEBHOOK_SECRET);
      return JSON.parse(call.body) as Received;
    });
  }
}

/**
 * A receiver's check by the Standard Webhooks specification 1.0, "Verifying webhook authenticity", written without the sender's code.
 * @throws Error
 */
export function requireSigned({ headers, body }: Pick<Call, 'headers' | 'body'>, secret: string): void {
  const field = (name: string): string => {
    const value = headers[name];
    if (typeof value !== 'string' || value === '') throw new Error(`${name} is missing`);
    return value;
  };
  const sentAt = field('webhook-timestamp');
  if (!/^\d+$/.test(sentAt) || Math.abs(Date.now() / 1000 - Number(sentAt)) > 300)
    throw new Error(`${sentAt} is not within five minutes`);
  const key = Buffer.from(secret.slice('whsec_'.length), 'base64');
  const expected = createHmac('sha256', key);
  expected.update(field('webhook-id')).update('.').update(sentAt).update('.').update(body);
  const digest = expected.digest();
  const good = field('webhook-signature')
    .split(' ')
    .map((one) => one.split(','))
    .filter(([version]) => version === 'v1')
    .map(([, signature = '']) => Buffer.from(signature, 'base64'))
    .some((signature) => signature.length === digest.length && timingSafeEqual(signature, digest));
  if (!good) throw new Error('no signature is good');
}
