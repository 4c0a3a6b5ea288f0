/** What the policies of a sandbox's roles are made out for, beside what every sandbox has. */
export interface SandboxAccess {
  /** Names of plans. */
  plans: readonly string[];
  /** Names of DNS records, in lower case and without a dot at the end. */
  recordNames: readonly string[];
  /** Days that the plans' locks last; no locks where it is empty. */
  lockDays: readonly number[];
}
