import { encodingFailures } from './failures';

/** Of clients and workers that encrypt; loaded by its path (failureConverterPath of Temporal's SDK). */
export const failureConverter = encodingFailures();
