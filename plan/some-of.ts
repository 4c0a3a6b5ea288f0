/** Names that a person takes in; of a large plan, all would hide what is said of them. */
const SHOWN_NAMES = 5;

/** Such as `a, b, c, d, e and 2 more`. */
export function someOf(names: readonly string[]): string {
  const shown = names.slice(0, SHOWN_NAMES).join(', ');
  const more = names.length - SHOWN_NAMES;
  return more > 0 ? `${shown} and ${more} more` : shown;
}
