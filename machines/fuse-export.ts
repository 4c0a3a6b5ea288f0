import { readFile } from 'node:fs/promises';
import { endProcess, runningPid } from '../host/pid-file';
import { toolOutput } from '../host/run-tool';

/**
 * A graph of QEMU's block nodes as a raw file on this host, by qemu-storage-daemon and FUSE: for tools, and code, that know
 * no disk format. The daemon outlives this process and is known by its pid file.
 */

export interface FuseExport {
  /** Of the daemon; its path is what it is recognised by, so it must be nobody else's. */
  pidFile: string;
  /** An empty file that is there; the export is mounted over it. */
  path: string;
  /** The top block node, named `disk`, with what is below it in it; see QEMU's BlockdevOptions. */
  node: Record<string, unknown>;
  writable: boolean;
  /** Largest file that the daemon may write, in bytes; it dies where it would write a larger one. */
  largestFileBytes?: number;
  /** What paths in the node are relative to, such as those of sockets, which end at 107 bytes; else, this process's. */
  workingDirectory?: string;
}

/** A daemon told to end first flushes what the host still holds in memory, which may be gigabytes. */
const FLUSH_MILLISECONDS = 100_000;

/** Starts the daemon. @throws ToolFailedError with QEMU's own words where the node cannot be opened */
export async function startFuseExport(wanted: FuseExport): Promise<void> {
  const { pidFile, path, node, writable, largestFileBytes, workingDirectory } = wanted;
  const daemon = [
    'qemu-storage-daemon',
    ...['--blockdev', JSON.stringify({ ...node, 'node-name': 'disk', 'read-only': !writable })],
    ...[
      '--export',
      JSON.stringify({ type: 'fuse', id: 'disk', 'node-name': 'disk', mountpoint: path, writable }),
    ],
    ...['--daemonize', '--pidfile', pidFile],
  ];
  const command =
    largestFileBytes === undefined ? daemon : ['prlimit', `--fsize=${largestFileBytes}`, '--', ...daemon];
  await toolOutput(command[0] as string, command.slice(1), { directory: workingDirectory });
}

/** Whether the daemon runs. */
export async function servesFuseExport(pidFile: string): Promise<boolean> {
  return (await runningPid(pidFile, pidFile)) !== undefined;
}

/** Ends the daemon, which flushes, and takes its mount off. One that is gone is no error. */
export async function endFuseExport(pidFile: string, path: string): Promise<void> {
  const pid = await runningPid(pidFile, pidFile);
  if (pid !== undefined) await endProcess(pid, pidFile, FLUSH_MILLISECONDS);
  await unmount(path);
}

/** Takes off a FUSE mount that a killed QEMU left behind; none is no error. */
export async function unmount(path: string): Promise<void> {
  const mounts = await readFile('/proc/self/mounts', 'utf8');
  // /proc writes blanks and the like in paths as octal escapes.
  const escaped = path.replace(/[ \t\n\\]/g, (c) => `\\${c.charCodeAt(0).toString(8).padStart(3, '0')}`);
  if (mounts.split('\n').some((line) => line.split(' ')[1] === escaped))
    await toolOutput('umount', ['--lazy', path]);
}
