import { type IncomingHttpHeaders } from 'node:http';
import { fromJson, parseJson, toJson } from './json';
import { type RestResponse } from './rest';
import { type Operation, type Service } from './service';

/** The protocol "AWS JSON 1.1": a POST of a JSON document, whose operation is named by a header. */

/** @returns undefined where the request names no operation of the service */
export function jsonOperation(service: Service, headers: IncomingHttpHeaders): Operation | undefined {
  // `ServiceQuotasV20190624.GetServiceQuota`: the target's prefix is the service's, whose signature was looked at.
  const target = String(headers['x-amz-target'] ?? '');
  return service.operations.get(target.slice(target.lastIndexOf('.') + 1));
}

/** @throws AwsError SerializationException */
export function readJson({ input }: Operation, body: string): Record<string, unknown> {
  return fromJson(input, parseJson(body === '' ? '{}' : body)) as Record<string, unknown>;
}

export function writeJson({ output }: Operation, value: object): RestResponse {
  return jsonResponse(toJson(output, value) as object, 200);
}

export function jsonResponse(body: object, status: number): RestResponse {
  return { status, headers: { 'content-type': 'application/x-amz-json-1.1' }, body: JSON.stringify(body) };
}
