/** One or several of a policy's values; IAM takes a single one without its list. */
export type OneOrMore<T> = T | readonly T[];

/** A value of a condition: IAM's JSON has booleans and numbers, too, and compares them as they are written. */
export type ConditionValue = string | number | boolean;

/** A statement of an identity-based policy, as IAM's JSON policy grammar has it (IAM User Guide). */
export interface PolicyStatement {
  Sid?: string;
  Effect: 'Allow' | 'Deny';
  Action?: OneOrMore<string>;
  NotAction?: OneOrMore<string>;
  Resource?: OneOrMore<string>;
  NotResource?: OneOrMore<string>;
  /** By operator (`StringEquals`), by condition key. */
  Condition?: Readonly<Record<string, Readonly<Record<string, OneOrMore<ConditionValue>>>>>;
}

/** An identity-based policy: what is attached to a user or a role. It names no principal. */
export interface PolicyDocument {
  Version?: string;
  Id?: string;
  Statement: OneOrMore<PolicyStatement>;
}
