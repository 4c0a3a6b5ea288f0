/**
 * Node's flags for workers that copy blocks. What comes over the network lies outside of V8's heap, in pieces of 64 KiB
 * that small objects in the young generation hold on to; when 64 MiB of them have gathered, V8 marks the whole heap, with
 * all that the SDKs brought. A small young generation is collected before that. Measured on failbacks of 4 GiB: 8 MiB take
 * 7.0 s of CPU and 330 MiB, 2 MiB 4.3 s and 267 MiB, 4 MiB, half as many collections, 4.0 s and 285 MiB.
 */
export const WORKER_FLAGS: readonly string[] = ['--max-semi-space-size=4'];
