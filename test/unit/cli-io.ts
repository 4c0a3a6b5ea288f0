import { type CliIo } from '../../cli/io';

/** A world for the command that keeps what it writes. */
export function testIo(env: NodeJS.ProcessEnv, cwd: string) {
  let out = '';
  let err = '';
  const interrupts = new Set<() => void>();
  const io: CliIo = {
    out: (text) => void (out += text),
    err: (text) => void (err += text),
    stderrIsTty: false,
    env,
    cwd,
    onInterrupt(callback) {
      interrupts.add(callback);
      return () => interrupts.delete(callback);
    },
  };
  return {
    io,
    /** Presses Ctrl-C. */
    interrupt: () => interrupts.forEach((callback) => callback()),
    get out() {
      return out;
    },
    get err() {
      return err;
    },
    /** The one JSON document on stdout. */
    get json(): unknown {
      return JSON.parse(out) as unknown;
    },
  };
}
