/**
 * Minutes of age that a sweep asks for, so that it looks at what was made a moment ago, too. Below none: the moment of
 * making and that of looking are told by two clocks, or by one that was put right in between.
 */
export const ANY_AGE = -1;
