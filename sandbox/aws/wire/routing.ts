import { type HttpBinding, type Operation, type Service } from './service';

/** What of a REST request decides which operation it is. */
export interface RequestTarget {
  method: string;
  /** Still percent-encoded; without the bucket where the service is S3. */
  path: string;
  query: URLSearchParams;
  headers: Record<string, string | string[] | undefined>;
  /** S3 only. */
  bucket?: string;
}

export interface Route {
  operation: Operation;
  http: HttpBinding;
  /** Path labels by member name, percent-encoded. */
  labels: Record<string, string>;
}

/** The query parameter by which SDKs name the operation on top of what the path says. */
const OPERATION_HINT = 'x-id';

/** An operation that REST requests can be for. */
type RestOperation = Operation & { http: HttpBinding };

const candidatesOf = new WeakMap<Service, Map<string, RestOperation[]>>();

/** The operations of that method, and, where the service is S3, that name a bucket or not; looked up for each request. */
function candidates(service: Service, method: string, ofBucket: boolean): RestOperation[] {
  let byKey = candidatesOf.get(service);
  if (byKey === undefined) {
    byKey = new Map();
    candidatesOf.set(service, byKey);
  }
  const key = `${method} ${ofBucket}`;
  let found = byKey.get(key);
  if (found === undefined) {
    const s3 = service.signingName === 's3';
    found = [...service.operations.values()].filter(
      (operation): operation is RestOperation =>
        operation.http?.method === method && (!s3 || operation.http.ofBucket === ofBucket),
    );
    byKey.set(key, found);
  }
  return found;
}

/** The most specific operation whose demands the request meets. */
export function routeRequest(service: Service, target: RequestTarget): Route | undefined {
  let best: (Route & { score: number }) | undefined;
  for (const operation of candidates(service, target.method, target.bucket !== undefined)) {
    const { http } = operation;
    const match = http.path.exec(target.path);
    if (match === null || !demandsMet(http, target)) continue;
    const score = specificity(http, target.query);
    if (best === undefined || score > best.score)
      best = { operation, http, labels: { ...match.groups }, score };
  }
  return best;
}

function demandsMet(http: HttpBinding, { query, headers }: RequestTarget): boolean {
  const hint = query.get(OPERATION_HINT);
  return (
    http.literals.every(([key, value]) =>
      key === OPERATION_HINT
        ? hint === null || hint === value
        : query.has(key) && (value === '' || query.get(key) === value),
    ) &&
    http.requiredQuery.every((key) => query.has(key)) &&
    http.requiredHeaders.every((key) => headers[key] !== undefined)
  );
}

function specificity(http: HttpBinding, query: URLSearchParams): number {
  const hinted = query.has(OPERATION_HINT);
  const literals = http.literals.filter(([key]) => key !== OPERATION_HINT || hinted).length;
  // A literal outweighs a demanded parameter, and both any length of path.
  return 2 * literals + http.requiredQuery.length + http.requiredHeaders.length + http.fixedLength / 1000;
}
