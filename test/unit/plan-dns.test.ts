import fc from 'fast-check';
import { meanwhileValue } from '../../activities/aws-proxy/dns/service-hints';
import { PlanError } from '../../plan/load';
import { canonicalRecordName, isRecordName, resolverName } from '../../plan/record-name';
import { wireName } from '../../sandbox/aws/route53/record-set';
import { GOOD_PLAN, planOf } from './plan-file';

const LAST = '    - { name: www.shop.example, vm: web, address: public }\n';
const withRecords = (...records: string[]): string =>
  GOOD_PLAN.replace(LAST, records.map((one) => `    - ${one}\n`).join(''));
const problemOf = async (...records: string[]): Promise<string> => {
  const error: unknown = await planOf(withRecords(...records)).then(
    () => undefined,
    (cause: unknown) => cause,
  );
  if (!(error instanceof PlanError)) throw new Error(`no PlanError, but ${String(error)}`);
  return error.message.replace(/^.*plan\.yaml:\S+ /, '');
};

describe("a plan's DNS records", () => {
  it('are normalized to what they always were where nothing new is said', async () => {
    const { plan } = await planOf();
    expect(JSON.stringify(plan.dns?.records)).toBe(
      '[{"name":"www.shop.example","vm":"web","address":"public","ttl":60}]',
    );
  });

  it.each([
    ["'*.apps.shop.example'", '*.apps.shop.example'],
    ["'\\052.apps.shop.example'", '*.apps.shop.example'],
    ['App_1.Shop.Example.', 'app_1.shop.example'],
    ['_443._https.shop.example', '_443._https.shop.example'],
    ["'a\\057b\\101.shop.example'", 'a\\057ba.shop.example'],
  ])('may be called %s', async (name, normalized) => {
    const { plan } = await planOf(withRecords(`{ name: ${name}, vm: web }`));
    expect(plan.dns?.records[0]?.name).toBe(normalized);
  });

  it('may be of record sets, of several VMs, and lead to names', async () => {
    const { plan } = await planOf(
      withRecords(
        '{ name: a.shop.example, vm: web, setIdentifier: "home (1)" }',
        '{ name: a.shop.example, vm: db, setIdentifier: other }',
        '{ name: b.shop.example, vms: [web, db], ipv6: remove }',
        '{ name: c.shop.example, type: CNAME, target: DR.example. }',
      ),
    );
    expect(plan.dns?.records[3]).toEqual({
      name: 'c.shop.example',
      type: 'CNAME',
      target: 'dr.example',
      address: 'private',
      ttl: 60,
    });
  });

  it.each<[string, string[], RegExp]>([
    [
      'a wildcard in the middle',
      ["{ name: 'a.*.shop.example', vm: web }"],
      /records\[0\]\.name: must be a DNS name like/,
    ],
    ['a wildcard in a label', ["{ name: 'a*.shop.example', vm: web }"], /must be a DNS name like/],
    ['a blank', ["{ name: 'a b.shop.example', vm: web }"], /must be a DNS name like/],
    ['a wildcard alone', ["{ name: '*', vm: web }"], /"\*" is no full name/],
    ['no way to lead', ['{ name: a.shop.example }'], /say where a\.shop\.example leads/],
    [
      'two ways to lead',
      ['{ name: a.shop.example, vm: web, vms: [db] }'],
      /one of "vm", "vms" and "target", not vm and vms/,
    ],
    ['a VM twice', ['{ name: a.shop.example, vms: [web, web] }'], /vms\[1\]: "web" is listed twice/],
    [
      'an unknown VM among several',
      ['{ name: a.shop.example, vms: [web, wbe] }'],
      /vms\[1\]: there is no VM "wbe".*did you mean "web"/,
    ],
    [
      'a CNAME without target',
      ['{ name: a.shop.example, vm: web, type: CNAME }'],
      /type: a CNAME record leads to a name/,
    ],
    [
      'a target without CNAME',
      ['{ name: a.shop.example, target: b.example }'],
      /only a CNAME record has a target/,
    ],
    [
      'a CNAME to itself',
      ['{ name: a.shop.example, type: CNAME, target: A.shop.example. }'],
      /cannot lead to itself/,
    ],
    [
      'IPv6 beside a CNAME',
      ['{ name: a.shop.example, type: CNAME, target: b.example, ipv6: move }'],
      /nothing stands beside a CNAME/,
    ],
    [
      'a record set twice',
      [
        '{ name: a.shop.example, vm: web, setIdentifier: x }',
        '{ name: a.shop.example, vm: db, setIdentifier: x }',
      ],
      /records\[1\]\.setIdentifier: the record set "x" of a\.shop\.example is given twice/,
    ],
    [
      'a simple record and a record set',
      ['{ name: a.shop.example, vm: web }', '{ name: a.shop.example, vm: db, setIdentifier: x }'],
      /with and without a setIdentifier/,
    ],
    [
      'an identifier with a line break',
      ['{ name: a.shop.example, vm: web, setIdentifier: "a\\nb" }'],
      /must not hold control characters/,
    ],
  ])('have one clear error for %s', async (_, records, message) => {
    expect(await problemOf(...records)).toMatch(message);
  });

  it('any text is a name that Route 53 spells as we do, or refused', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'binary', maxLength: 300 }),
        fc.string({ unit: fc.constantFrom(...'a*.\\0 57_-Z') }),
        (one, other) => {
          for (const text of [one, other]) {
            if (!isRecordName(text)) continue;
            const name = canonicalRecordName(text);
            expect(canonicalRecordName(name)).toBe(name);
            expect(canonicalRecordName(wireName(name))).toBe(name);
            expect(resolverName(name)).not.toMatch(/\\\d{0,2}(\D|$)/);
          }
        },
      ),
    );
  });
});

describe('a value of an HTTPS record while the plan is away', () => {
  const away = {
    owner: 'www.shop.example',
    moved: new Set(['www.shop.example', 'api.shop.example']),
    ipv4: ['198.51.100.1', '198.51.100.2'],
    ipv6: [],
  };
  it.each<[string, string | undefined]>([
    ['1 . alpn="h2"', '1 . alpn="h2"'],
    ['1 . alpn="h2" ipv4hint=192.0.2.7', '1 . alpn="h2" ipv4hint=198.51.100.1,198.51.100.2'],
    ['1 WWW.shop.example. ipv6hint=2001:db8::7 port=8443', '1 WWW.shop.example. port=8443'],
    ['1 . mandatory="ipv6hint" ipv6hint=2001:db8::7', '1 .'],
    ['1 . mandatory=alpn,ipv6hint alpn=h2 ipv6hint="2001:db8::7"', '1 . mandatory=alpn alpn=h2'],
    ['2 api.shop.example. ipv4hint=192.0.2.7', '2 api.shop.example.'],
    ['0 api.shop.example.', '0 api.shop.example.'],
    ['0 cdn.example.', undefined],
    ['1 home.example. alpn=h2', undefined],
    ['1 . key667="a b" ipv4hint=192.0.2.7', '1 . key667="a b" ipv4hint=198.51.100.1,198.51.100.2'],
    ['', undefined],
  ])('%j is %j', (value, wanted) => expect(meanwhileValue(value, away)).toBe(wanted));
});
