import { createServer, type Server } from 'node:http';
import { type AddressInfo } from 'node:net';

/** A span as it has arrived. */
export interface ReceivedSpan {
  name: string;
  traceId: string;
  spanId: string;
  /** Empty where it is the first of its trace. */
  parentSpanId: string;
  service: string;
  attributes: Record<string, unknown>;
}

interface OtlpAttribute {
  key: string;
  value: Record<string, unknown>;
}
interface OtlpRequest {
  resourceSpans: {
    resource: { attributes: OtlpAttribute[] };
    scopeSpans: {
      spans: {
        name: string;
        traceId: string;
        spanId: string;
        parentSpanId?: string;
        attributes: OtlpAttribute[];
      }[];
    }[];
  }[];
}

/** A collector that takes OTLP over HTTP, as JSON ("OpenTelemetry Protocol Specification", OTLP/HTTP). */
export class OtlpReceiver {
  readonly spans: ReceivedSpan[] = [];
  /** What was wrong with requests. */
  readonly problems: string[] = [];
  private constructor(private readonly server: Server) {}

  static async start(): Promise<OtlpReceiver> {
    const server = createServer((request, response) => {
      const parts: Buffer[] = [];
      request.on('data', (part: Buffer) => parts.push(part));
      request.on('end', () => {
        const { url, headers, method } = request;
        if (method !== 'POST' || url !== '/v1/traces' || headers['content-type'] !== 'application/json')
          receiver.problems.push(`${method} ${url} ${headers['content-type']}`);
        else receiver.take(JSON.parse(Buffer.concat(parts).toString('utf8')) as OtlpRequest);
        response.setHeader('content-type', 'application/json').end('{}');
      });
    });
    const receiver = new OtlpReceiver(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return receiver;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  /** The only span of this name. */
  one(name: string): ReceivedSpan {
    const found = this.spans.filter((span) => span.name === name);
    if (found.length !== 1)
      throw new Error(
        `There are ${found.length} spans ${name} among ${this.spans.map((span) => span.name).join(', ')}.`,
      );
    return found[0]!;
  }

  private take({ resourceSpans }: OtlpRequest): void {
    for (const { resource, scopeSpans } of resourceSpans)
      for (const { name, traceId, spanId, parentSpanId = '', attributes } of scopeSpans.flatMap(
        ({ spans }) => spans,
      ))
        this.spans.push({
          ...{ name, traceId, spanId, parentSpanId },
          service: String(valuesOf(resource.attributes)['service.name']),
          attributes: valuesOf(attributes),
        });
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }
}

const valuesOf = (attributes: OtlpAttribute[]): Record<string, unknown> =>
  Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]));
