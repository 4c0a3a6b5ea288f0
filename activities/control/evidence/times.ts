/** An instant as documents have it; 1970 where it is none, which nobody takes for a time of a run. */
export function instant(time: string | number): string {
  const at = new Date(time);
  return (Number.isNaN(at.getTime()) ? new Date(0) : at).toISOString();
}
