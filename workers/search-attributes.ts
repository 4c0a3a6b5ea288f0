import { isGrpcServiceError, type Connection } from '@temporalio/client';
import { phaseAttribute, planAttribute, readinessAttribute } from '../workflows/run/messages';

/** IndexedValueType KEYWORD of temporal.api.enums.v1. */
const KEYWORD = 2;
/** gRPC ALREADY_EXISTS. */
const ALREADY_EXISTS = 6;

/**
 * Registers the search attributes that workflows set. A workflow that sets an unregistered one hangs, so every
 * worker makes sure before it polls. Where this user may not register them, an administrator has to have:
 * `temporal operator search-attribute create`.
 */
export async function registerSearchAttributes(connection: Connection, namespace: string): Promise<void> {
  for (const { name } of [planAttribute, phaseAttribute, readinessAttribute])
    try {
      await connection.operatorService.addSearchAttributes({
        namespace,
        searchAttributes: { [name]: KEYWORD },
      });
    } catch (error) {
      if (!isGrpcServiceError(error) || error.code !== ALREADY_EXISTS) throw error;
    }
}
