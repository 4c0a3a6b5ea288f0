/**
 * Node's flags for workers that copy blocks. What comes over the network lies outside of V8's heap, in pieces of 64 KiB
 * that small objects in the young generation hold on to; when 64 MiB of them have gathered, V8 marks the whole heap, with
 * all that the SDKs brought. A small young generation is collected before that: measured on failbacks, a fifth of the CPU
 * and 100 MiB less.
 */
export const WORKER_FLAGS: readonly string[] = ['--max-semi-space-size=2'];
