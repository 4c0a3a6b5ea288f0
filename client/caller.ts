import { GetCallerIdentityCommand } from '@aws-sdk/client-sts';
import { stsClient } from '../activities/aws-proxy/account/single-clients';

/** Seconds for which AWS is asked who we are: nothing waits longer for a name, least of all a failover. */
const AWS_SECONDS = 3;

/**
 * ARN by which AWS knows this process's credentials: that of a session has the name that the session was given, which role's owners can
 * bind to a person (`sts:RoleSessionName`, `aws:userid`). Everybody may ask it (GetCallerIdentity needs no permission, and cannot be denied).
 * @returns undefined where AWS does not say in time: to decide must not depend on it
 */
export async function awsCaller(region: string): Promise<string | undefined> {
  const sts = stsClient({ region, maxAttempts: 1 });
  const limit = AbortSignal.timeout(AWS_SECONDS * 1000);
  try {
    const late = new Promise<never>((_, reject) =>
      limit.addEventListener('abort', () => reject(limit.reason as Error), { once: true }),
    );
    const asked = sts.send(new GetCallerIdentityCommand({}), { abortSignal: limit });
    // Credentials that are looked for do not heed the signal.
    return (await Promise.race([asked, late])).Arn;
  } catch {
    return undefined;
  } finally {
    sts.destroy();
  }
}
