/**
 * Node's flags for the process of the AWS endpoint. What comes over the network lies outside of V8's heap, in pieces of
 * 64 KiB that small objects in the young generation hold on to; when 64 MiB of them have gathered, V8 marks the whole
 * heap, schemas of five SDK clients included. A small young generation is collected before that, which halves the CPU
 * that a block takes.
 */
export const BLOCK_SERVER_FLAGS: readonly string[] = ['--max-semi-space-size=2'];
