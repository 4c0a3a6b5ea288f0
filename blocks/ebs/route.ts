import { type EBSClient, GetSnapshotBlockCommand } from '@aws-sdk/client-ebs';
import { HttpRequest } from '@smithy/core/protocols';
import { type SigningScope } from './signature';

/** Where an SDK client would send its block calls, and in whose scope it would sign them. */
export interface Route {
  /** Scheme, host and port. */
  origin: string;
  host: string;
  /** Before `/snapshots`; empty for AWS's own endpoints. */
  pathPrefix: string;
  scope: SigningScope;
  userAgent: string;
}

const PROBE_PATH = '/snapshots/route/blocks/0';

/**
 * Finds out by letting the client make a request, signed and all, that is never sent. So endpoint rules, AWS_ENDPOINT_URL,
 * FIPS, dual-stack, the Region and everything else that the SDK reads are the SDK's own, whatever they become.
 */
export async function routeOf(ebs: EBSClient): Promise<Route> {
  let route: Route | undefined;
  const command = new GetSnapshotBlockCommand({ SnapshotId: 'route', BlockIndex: 0, BlockToken: 'route' });
  command.middlewareStack.add(
    () => (input) => {
      route = readRoute(input.request);
      throw new RouteKnown();
    },
    // After the signing, before the sending.
    { step: 'finalizeRequest', priority: 'low', name: 'lifeboatRoute' },
  );
  try {
    await ebs.send(command);
  } catch (error) {
    if (route === undefined) throw error;
  }
  return route!;
}

/** Ends the probe in place of an answer. */
class RouteKnown extends Error {}

function readRoute(request: unknown): Route {
  if (!HttpRequest.isInstance(request)) throw new Error('The AWS SDK made no HTTP request of the probe.');
  const headers = Object.fromEntries(
    Object.entries(request.headers).map(([name, value]) => [name.toLowerCase(), value]),
  );
  const scope = /Credential=[^/]+\/\d{8}\/([^/]+)\/([^/]+)\/aws4_request/.exec(headers.authorization ?? '');
  const [, region, service] = scope ?? [];
  if (region === undefined || service === undefined || !request.path.endsWith(PROBE_PATH))
    throw new Error('The AWS SDK signs requests to the EBS direct APIs in a way that is not known here.');
  const port = request.port === undefined ? '' : `:${request.port}`;
  const host = request.hostname.includes(':')
    ? `[${request.hostname.replace(/^\[|\]$/g, '')}]`
    : request.hostname;
  return {
    origin: `${request.protocol}//${host}${port}`,
    host: headers.host ?? `${host}${port}`,
    pathPrefix: request.path.slice(0, -PROBE_PATH.length),
    scope: { region, service },
    userAgent: headers['user-agent'] ?? 'lifeboat',
  };
}
