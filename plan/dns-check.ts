import { type PlannedDnsRecord } from './dns-record';
import { vmsOf } from './record-vms';
import { type PlanProblem } from './plan-error';
import { repeated } from './repeated';
import { type PlanFile } from './schema';
import { unknownVm } from './unknown-vm';
import { vmSite } from './recovery-site/vm-site';

/** What a schema cannot see of a plan's records: which VMs there are, and what excludes each other. */
export function* checkDnsRecords(plan: PlanFile): Generator<PlanProblem> {
  const records = plan.dns?.records ?? [];
  for (const [index, record] of records.entries()) {
    yield* ofOneRecord(record, ['dns', 'records', index]);
    yield* vmProblems(plan, record, ['dns', 'records', index]);
  }
  yield* repeated(
    records.map(({ name, setIdentifier }, index) => ({
      path: ['dns', 'records', index, setIdentifier === undefined ? 'name' : 'setIdentifier'],
      value: JSON.stringify([name, setIdentifier]),
    })),
    (key) => {
      const [name, setIdentifier] = JSON.parse(key) as [string, string | null];
      return setIdentifier === null
        ? `the record ${name} is given twice; list its VMs in one record's "vms", or name a record set of it in each`
        : `the record set "${setIdentifier}" of ${name} is given twice; take one out`;
    },
  );
  yield* mixedNames(records);
}

function* ofOneRecord(record: PlannedDnsRecord, path: PropertyKey[]): Generator<PlanProblem> {
  const { name, vm, vms, target, type, ipv6 } = record;
  const given = Object.entries({ vm, vms, target }).flatMap(([field, value]) =>
    value === undefined ? [] : [field],
  );
  if (given.length !== 1)
    yield {
      path: [...path, given[1] ?? 'name'],
      message:
        given.length === 0
          ? `say where ${name} leads: to a "vm", to several "vms", or to a "target" that is a name`
          : `${name} can have one of "vm", "vms" and "target", not ${given.join(' and ')}`,
    };
  if (type === 'CNAME' && target === undefined)
    yield {
      path: [...path, 'type'],
      message: `a CNAME record leads to a name; give its "target", or take "type" out for an A record`,
    };
  if (target !== undefined && type !== 'CNAME')
    yield { path: [...path, 'target'], message: 'only a CNAME record has a target; add "type: CNAME"' };
  if (target === name) yield { path: [...path, 'target'], message: `${name} cannot lead to itself` };
  if (target?.startsWith('*'))
    yield { path: [...path, 'target'], message: `"${target}" is no name that can be led to` };
  if (type === 'CNAME' && ipv6 !== undefined)
    yield { path: [...path, 'ipv6'], message: 'nothing stands beside a CNAME record; take this out' };
  if (!name.includes('.') || name === '*')
    yield { path: [...path, 'name'], message: `"${name}" is no full name; write it like www.example.com` };
}

function* vmProblems(plan: PlanFile, record: PlannedDnsRecord, path: PropertyKey[]): Generator<PlanProblem> {
  const names = plan.vms.map(({ name }) => name);
  const { production } = plan.recoverySite;
  const at = (index: number): PropertyKey[] =>
    record.vms === undefined ? [...path, 'vm'] : [...path, 'vms', index];
  const vms = vmsOf(record);
  yield* repeated(
    vms.map((value, index) => ({ path: at(index), value })),
    (name) => `"${name}" is listed twice; take one out`,
  );
  for (const [index, vm] of vms.entries())
    if (!names.includes(vm)) yield { path: at(index), message: unknownVm(vm, names) };
  const sites = vms.map((vm) => {
    const planned = plan.vms.find(({ name }) => name === vm);
    return planned === undefined ? production : vmSite(production, planned, false);
  });
  if (record.address === 'public' && sites.some(({ publicAddress }) => !publicAddress))
    yield {
      path: [...path, 'address'],
      message:
        'the instances get no public address; set recoverySite.production.publicAddress to true, or use "private"',
    };
}

/** Records of one name are all of record sets, and of one type: Route 53 has a simple record or sets of a policy, and a CNAME alone. */
function* mixedNames(records: PlannedDnsRecord[]): Generator<PlanProblem> {
  const first = new Map<string, PlannedDnsRecord>();
  for (const [index, record] of records.entries()) {
    const { name, setIdentifier, type } = record;
    const before = first.get(name);
    first.set(name, before ?? record);
    if (before === undefined) continue;
    const path = ['dns', 'records', index];
    if ((before.setIdentifier === undefined) !== (setIdentifier === undefined))
      yield {
        path: [...path, 'name'],
        message: `the record ${name} is given twice, with and without a setIdentifier; it has either one record or record sets of a policy`,
      };
    if ((before.type === 'CNAME') !== (type === 'CNAME'))
      yield {
        path: [...path, 'name'],
        message: `${name} cannot be a CNAME record and another one at the same time`,
      };
  }
}
