import { randomUUID } from 'node:crypto';
import type * as r53 from '@aws-sdk/client-route-53';
import { type Collection } from '../state/collection';
import { AwsError } from '../wire/errors';

/** A health check that record sets may name. Nobody asks its endpoint: it counts as healthy. */
export interface HealthCheckRecord {
  id: string;
  callerReference: string;
  config: r53.HealthCheckConfig;
}

export class HealthChecks {
  constructor(private readonly checks: Collection<HealthCheckRecord>) {}

  create({ CallerReference = '', HealthCheckConfig }: r53.CreateHealthCheckRequest): HealthCheckRecord {
    if (HealthCheckConfig?.Type === undefined)
      throw new AwsError('InvalidInput', 'A health check needs a type.');
    if (this.checks.all().some(({ callerReference }) => callerReference === CallerReference))
      throw new AwsError(
        'HealthCheckAlreadyExists',
        'A health check has already been created with the specified caller reference.',
        409,
      );
    return this.checks.put({ id: randomUUID(), callerReference: CallerReference, config: HealthCheckConfig });
  }

  /** @throws AwsError NoSuchHealthCheck */
  require(id: string): HealthCheckRecord {
    const check = this.checks.get(id);
    if (check === undefined)
      throw new AwsError('NoSuchHealthCheck', `A health check with id '${id}' does not exist.`, 404);
    return check;
  }
}

export const healthCheckView = ({ id, callerReference, config }: HealthCheckRecord): r53.HealthCheck => ({
  Id: id,
  CallerReference: callerReference,
  HealthCheckConfig: config,
  HealthCheckVersion: 1,
});
