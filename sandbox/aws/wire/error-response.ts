import { type AwsError } from './errors';
import { toJson } from './json';
import { jsonResponse } from './json-rpc';
import { type RestResponse } from './rest';
import { mergedTraits } from './schema';
import { type Service } from './service';
import { escapeXml, structureContent, XML_DECLARATION } from './xml';

/** An error as the service's protocol writes it. */
export function writeError(service: Service, error: AwsError, requestId: string): RestResponse {
  const schema = service.errorSchema(error.code);
  const traits = schema === undefined ? {} : mergedTraits(schema);
  const [queryCode, queryStatus] = service.kind === 'awsQuery' ? (traits.awsQueryError ?? []) : [];
  const code = queryCode ?? error.code;
  const status = error.status ?? queryStatus ?? traits.httpError ?? 400;

  if (service.kind === 'restJson1' || service.kind === 'awsJson1_1') {
    const details = { Message: error.message, message: error.message, ...error.details };
    const body = (schema === undefined ? details : toJson(schema, details)) as object;
    if (service.kind === 'awsJson1_1') return jsonResponse({ __type: code, ...body }, status);
    return {
      status,
      headers: { 'content-type': 'application/json', 'x-amzn-errortype': code },
      body: JSON.stringify(body),
    };
  }

  const details =
    schema === undefined
      ? Object.entries(error.details)
          .map(([name, value]) => `<${name}>${escapeXml(String(value))}</${name}>`)
          .join('')
      : structureContent(schema, { ...error.details, message: undefined, Message: undefined });
  const plain = `<Code>${escapeXml(code)}</Code><Message>${escapeXml(error.message)}</Message>${details}`;
  const id = escapeXml(requestId);
  return { status, headers: { 'content-type': 'application/xml' }, body: XML_DECLARATION + frame() };

  function frame(): string {
    if (service.signingName === 's3') return `<Error>${plain}<RequestId>${id}</RequestId></Error>`;
    if (service.kind === 'ec2Query')
      return `<Response><Errors><Error>${plain}</Error></Errors><RequestID>${id}</RequestID></Response>`;
    const type = status < 500 ? 'Sender' : 'Receiver';
    return (
      `<ErrorResponse xmlns="${service.xmlNamespace}"><Error><Type>${type}</Type>${plain}</Error>` +
      `<RequestId>${id}</RequestId></ErrorResponse>`
    );
  }
}
