/** Seconds to a tenth, for results. @param milliseconds such as the difference of two `Date.now()` */
export const seconds = (milliseconds: number): number => Math.round(milliseconds / 100) / 10;
