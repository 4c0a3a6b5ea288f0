import { isIPv4 } from 'node:net';
import ipaddr from 'ipaddr.js';
import { InvalidRecordValueError } from './invalid-value';

/** SVCB and HTTPS records on the wire (RFC 9460, section 2.2). dns-packet does not know them, and takes their bytes. */

const KEYS = ['mandatory', 'alpn', 'no-default-alpn', 'port', 'ipv4hint', 'ech', 'ipv6hint'];

const u16 = (value: number): Buffer => {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
};

/** From the presentation format, such as `1 . alpn="h3,h2" ipv4hint=192.0.2.7`. @throws InvalidRecordValueError */
export function serviceRecordData(value: string): Buffer {
  const [priority = '', target = '', ...parameters] = value.match(/(?:[^\s"]|"(?:[^"\\]|\\.)*")+/g) ?? [];
  if (!/^\d{1,5}$/.test(priority) || Number(priority) > 65_535 || !/^(\.|[\w.-]+)$/.test(target))
    throw invalid(value);
  if (priority === '0' && parameters.length > 0) throw invalid(value);
  const encoded = new Map<number, Buffer>();
  for (const parameter of parameters) {
    const [, name = '', text = ''] = /^([a-z0-9-]+)(?:=(.*))?$/s.exec(parameter) ?? [];
    const key = keyNumber(name);
    if (key === undefined || encoded.has(key)) throw invalid(value);
    encoded.set(key, parameterValue(key, text.replace(/^"(.*)"$/s, '$1'), value));
  }
  const inOrder = [...encoded].sort(([a], [b]) => a - b);
  return Buffer.concat([
    u16(Number(priority)),
    labels(target),
    ...inOrder.flatMap(([key, bytes]) => [u16(key), u16(bytes.length), bytes]),
  ]);
}

function keyNumber(name: string): number | undefined {
  const known = KEYS.indexOf(name);
  if (known >= 0) return known;
  const [, number] = /^key(\d{1,5})$/.exec(name) ?? [];
  return number === undefined || Number(number) > 65_534 ? undefined : Number(number);
}

function labels(name: string): Buffer {
  const parts = name.split('.').filter((label) => label !== '');
  return Buffer.concat([
    ...parts.map((label) => Buffer.concat([Buffer.from([label.length]), Buffer.from(label)])),
    Buffer.from([0]),
  ]);
}

function parameterValue(key: number, text: string, value: string): Buffer {
  const list = text.split(',');
  switch (KEYS[key]) {
    case 'mandatory':
      return Buffer.concat(list.map((name) => u16(keyNumber(name) ?? fail(value))));
    case 'alpn':
      return Buffer.concat(list.map((id) => Buffer.concat([Buffer.from([id.length]), Buffer.from(id)])));
    case 'port':
      return u16(/^\d{1,5}$/.test(text) && Number(text) <= 65_535 ? Number(text) : fail(value));
    case 'ipv4hint':
      return Buffer.concat(
        list.map((address) => (isIPv4(address) ? Buffer.from(address.split('.').map(Number)) : fail(value))),
      );
    case 'ipv6hint':
      return Buffer.concat(
        list.map((address) =>
          ipaddr.IPv6.isValid(address) ? Buffer.from(ipaddr.IPv6.parse(address).toByteArray()) : fail(value),
        ),
      );
    case 'ech':
      return Buffer.from(text, 'base64');
    default:
      return Buffer.from(text);
  }
}

const invalid = (value: string): InvalidRecordValueError =>
  new InvalidRecordValueError(`Value is not valid: '${value}'`);

function fail(value: string): never {
  throw invalid(value);
}
