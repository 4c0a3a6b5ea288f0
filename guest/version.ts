/**
 * What is put into guests, counted up with every release that puts something else into them: guests that were adapted
 * beforehand are adapted anew then.
 */
export const ADAPTER_VERSION = 2;
