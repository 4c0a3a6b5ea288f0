import { canonicalRecordName } from '../../../plan/record-name';

/**
 * HTTPS and SVCB records (RFC 9460): browsers ask for them beside A and AAAA, connect to the addresses in their hints at once, and
 * follow them to another name. `1 . alpn="h3,h2" ipv4hint=192.0.2.7` in Route 53's presentation format.
 */

export interface Meanwhile {
  /** The record's own name, in the plan's spelling. */
  owner: string;
  /** Names that the plan moves. */
  moved: ReadonlySet<string>;
  ipv4: string[];
  ipv6: string[];
}

const ADDRESS_HINTS: Record<string, 'ipv4' | 'ipv6'> = { ipv4hint: 'ipv4', ipv6hint: 'ipv6' };

/**
 * The value of such a record while the plan is away: the hints name the new addresses, or go where there is none. A record that
 * sends clients to a name which the plan does not move leads home.
 * @returns undefined where the value cannot stay; the value itself where nothing of it leads home
 */
export function meanwhileValue(value: string, { owner, moved, ipv4, ipv6 }: Meanwhile): string | undefined {
  const [priority = '', target = '', ...parameters] = tokens(value);
  const own = target === '.' || canonicalRecordName(target) === owner;
  if (!own && !moved.has(canonicalRecordName(target))) return undefined;
  // An alias (priority 0) to a moved name has no parameters, and follows it by itself.
  if (priority === '0') return own ? undefined : value;
  const addresses = own ? { ipv4, ipv6 } : { ipv4: [], ipv6: [] };
  const dropped = new Set<string>();
  const kept = parameters.flatMap((parameter) => {
    const key = parameter.split('=')[0]?.toLowerCase() ?? '';
    const family = Object.hasOwn(ADDRESS_HINTS, key) ? ADDRESS_HINTS[key] : undefined;
    if (family === undefined) return [parameter];
    if (addresses[family].length > 0) return [`${key}=${addresses[family].join(',')}`];
    dropped.add(key);
    return [];
  });
  if (parameters.join(' ') === kept.join(' ')) return value;
  return [priority, target, ...kept.flatMap((parameter) => withoutMandatory(parameter, dropped))].join(' ');
}

/** A hint that is gone must not be mandatory: clients would ignore the whole record. */
function withoutMandatory(parameter: string, dropped: ReadonlySet<string>): string[] {
  const [, keys] = /^mandatory="?([^"]*)"?$/i.exec(parameter) ?? [];
  if (keys === undefined) return [parameter];
  const left = keys.split(',').filter((key) => !dropped.has(key.toLowerCase()));
  return left.length === 0 ? [] : [`mandatory=${left.join(',')}`];
}

/** Split at blanks that are not within quotation marks. */
const tokens = (value: string): string[] => value.match(/(?:[^\s"]|"(?:[^"\\]|\\.)*")+/g) ?? [];
