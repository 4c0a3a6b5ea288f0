import { isIPv4, isIPv6 } from 'node:net';
import { InvalidRecordValueError } from './invalid-value';
import { serviceRecordData } from './service-record';

const hostName = (text: string): string => text.replace(/\.$/, '');

const integer = (text: string | undefined, value: string): number => {
  if (text === undefined || !/^\d{1,10}$/.test(text))
    throw new InvalidRecordValueError(`Value is not valid: '${value}'`);
  return Number(text);
};

/** Types that this server answers for, and how a value in presentation format becomes what dns-packet encodes. */
const READERS: Record<string, (value: string) => unknown> = {
  A(value) {
    if (!isIPv4(value))
      throw new InvalidRecordValueError(
        `Invalid Resource Record: 'FATAL problem: ARRDATAIllegalIPv4Address (Value is not a valid IPv4 address) encountered with '${value}''`,
      );
    return value;
  },
  AAAA(value) {
    if (!isIPv6(value))
      throw new InvalidRecordValueError(
        `Invalid Resource Record: 'FATAL problem: AAAARRDATAIllegalIPv6Address (Value is not a valid IPv6 address) encountered with '${value}''`,
      );
    return value;
  },
  HTTPS: serviceRecordData,
  SVCB: serviceRecordData,
  CNAME: checkedHost,
  NS: checkedHost,
  PTR: checkedHost,
  TXT: (value) => quotedStrings(value).map((text) => Buffer.from(text)),
  MX(value) {
    const [preference, exchange = ''] = value.split(/\s+/);
    return { preference: integer(preference, value), exchange: checkedHost(exchange) };
  },
  SRV(value) {
    const [priority, weight, port, target = ''] = value.split(/\s+/);
    return {
      priority: integer(priority, value),
      weight: integer(weight, value),
      port: integer(port, value),
      target: checkedHost(target),
    };
  },
  SOA(value) {
    const [mname = '', rname = '', serial, refresh, retry, expire, minimum] = value.split(/\s+/);
    return {
      mname: checkedHost(mname),
      rname: checkedHost(rname),
      serial: integer(serial, value),
      refresh: integer(refresh, value),
      retry: integer(retry, value),
      expire: integer(expire, value),
      minimum: integer(minimum, value),
    };
  },
};

export const SUPPORTED_TYPES: readonly string[] = Object.keys(READERS);

/** A value as dns-packet takes it. @throws InvalidRecordValueError */
export function recordData(type: string, value: string): unknown {
  const read = Object.hasOwn(READERS, type) ? READERS[type] : undefined;
  if (read === undefined) throw new InvalidRecordValueError(`Records of type ${type} are not supported.`);
  return read(value);
}

function checkedHost(value: string): string {
  if (!/^([\w*-]{1,63}\.)*[\w-]{1,63}\.?$/.test(value) || value.length > 254)
    throw new InvalidRecordValueError(`Invalid Resource Record: '${value}' is not a valid DNS name`);
  return hostName(value);
}

/** `"one" "two"`, each up to 255 bytes, with backslash escapes. */
function quotedStrings(value: string): string[] {
  const strings = [...value.matchAll(/"((?:[^"\\]|\\.)*)"/g)].map(([, text = '']) =>
    text.replace(/\\(\d{3}|.)/g, (_, code: string) =>
      code.length === 3 ? String.fromCharCode(parseInt(code, 8)) : code,
    ),
  );
  const rest = value.replace(/"((?:[^"\\]|\\.)*)"/g, '').trim();
  if (strings.length === 0 || rest !== '' || strings.some((text) => Buffer.byteLength(text) > 255))
    throw new InvalidRecordValueError(
      `Invalid Resource Record: 'FATAL problem: InvalidCharacterString (Value should be enclosed in quotation marks) encountered with '${value}''`,
    );
  return strings;
}
