import { randomUUID } from 'node:crypto';
import {
  type ChangeAction,
  ChangeResourceRecordSetsCommand,
  CreateHealthCheckCommand,
  GetChangeCommand,
  ListResourceRecordSetsCommand,
  type ResourceRecordSet,
} from '@aws-sdk/client-route-53';
import { createDnsActivities, type DnsDependencies } from '../../activities/aws-proxy/dns/activities';
import { type MovedRecord } from '../../activities/aws-proxy/dns/contract';
import { type RepositoryAddress, type RunContext } from '../../plan/run';
import { canonicalRecordName } from '../../plan/record-name';
import { type ObjectStore } from '../../repository/objects/object-store';
import { SHOP_HOSTED_ZONE_ID as ZONE } from '../../sandbox/aws/fixtures';
import { runActivity } from './run-activity';
import { letHold, startTestAccount, type TestAccount } from './test-account';

/** The sample zone as a person, and as Lifeboat's activities, work on it. */
export class DnsZoneUnderTest {
  private repository: { address: RepositoryAddress; store: ObjectStore };

  private constructor(readonly account: TestAccount) {
    this.repository = account.newRepository();
  }

  static async start(intercept?: Parameters<typeof startTestAccount>[0]): Promise<DnsZoneUnderTest> {
    return new DnsZoneUnderTest(await startTestAccount(intercept));
  }

  /** Forgets what earlier tests stored. */
  renew(): void {
    this.repository = this.account.newRepository();
  }

  get store(): ObjectStore {
    return this.repository.store;
  }

  activities(more: Partial<DnsDependencies> = {}) {
    return createDnsActivities({
      route53: this.account.clients.route53,
      objectStore: this.account.objectStore,
      dnsServers: [this.account.dnsServer],
      pollSeconds: 0.05,
      ...more,
    });
  }

  holding(generation: number): Promise<RunContext> {
    return letHold(this.repository.store, {
      plan: 'shop',
      digest: 'a'.repeat(64),
      repository: this.repository.address,
      runId: `run-${generation}`,
      generation,
    });
  }

  /** All record sets of a name, exactly as Route 53 lists them. */
  async sets(name: string): Promise<ResourceRecordSet[]> {
    const { ResourceRecordSets = [] } = await this.account.clients.route53.send(
      new ListResourceRecordSetsCommand({ HostedZoneId: ZONE, StartRecordName: name }),
    );
    return ResourceRecordSets.filter(({ Name }) => canonicalRecordName(Name ?? '') === name);
  }

  /** Makes changes as a person would, and waits until the zone's server answers by them. */
  async change(...changes: [ChangeAction, ResourceRecordSet][]): Promise<void> {
    const { route53 } = this.account.clients;
    const { ChangeInfo } = await route53.send(
      new ChangeResourceRecordSetsCommand({
        HostedZoneId: ZONE,
        ChangeBatch: {
          Changes: changes.map(([Action, ResourceRecordSet]) => ({ Action, ResourceRecordSet })),
        },
      }),
    );
    for (;;) {
      const change = await route53.send(new GetChangeCommand({ Id: ChangeInfo?.Id }));
      if (change.ChangeInfo?.Status === 'INSYNC') return;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  create(...sets: ResourceRecordSet[]): Promise<void> {
    return this.change(...sets.map((set): ['CREATE', ResourceRecordSet] => ['CREATE', set]));
  }

  async healthCheck(): Promise<string> {
    const { HealthCheck } = await this.account.clients.route53.send(
      new CreateHealthCheckCommand({
        CallerReference: randomUUID(),
        HealthCheckConfig: { Type: 'TCP', IPAddress: '192.0.2.7', Port: 443 },
      }),
    );
    return HealthCheck?.Id ?? '';
  }

  async move(generation: number, records: MovedRecord[], more: Partial<DnsDependencies> = {}) {
    const run = await this.holding(generation);
    return runActivity(this.activities(more).moveDns, { run, hostedZone: ZONE, records });
  }

  async goHome(generation: number) {
    const run = await this.holding(generation);
    return runActivity(this.activities().returnDns, { run, hostedZone: ZONE });
  }
}

export const set = (
  Name: string,
  Type: ResourceRecordSet['Type'],
  values: string[],
  more: Partial<ResourceRecordSet> = {},
): ResourceRecordSet => ({
  Name,
  Type,
  TTL: 300,
  ResourceRecords: values.map((Value) => ({ Value })),
  ...more,
});

/** One of a policy, whose answer is another record's. */
export const alias = (
  Name: string,
  Type: ResourceRecordSet['Type'],
  DNSName: string,
  more: Partial<ResourceRecordSet> = {},
): ResourceRecordSet => ({
  Name,
  Type,
  AliasTarget: { HostedZoneId: ZONE, DNSName, EvaluateTargetHealth: false },
  ...more,
});

export const record = (name: string, more: Partial<MovedRecord> = {}): MovedRecord => ({
  name,
  vm: 'web',
  address: 'private',
  ttl: 60,
  values: ['198.51.100.1'],
  ...more,
});
