/** Values of a request's condition keys: a list where the key has several ("multivalued"), a text where it has one. */
export type ContextValues = Readonly<Record<string, string | readonly string[]>>;

/** The condition keys of a request. Their names are the same in upper and lower case (IAM User Guide, "Condition"). */
export class RequestContext {
  private readonly values = new Map<string, string | readonly string[]>();

  constructor(values: ContextValues) {
    for (const [key, value] of Object.entries(values)) this.values.set(key.toLowerCase(), value);
  }

  /** @param key in lower case */
  get(key: string): string | readonly string[] | undefined {
    return this.values.get(key);
  }
}
