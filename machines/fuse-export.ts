import { readFile } from 'node:fs/promises';
import { constants } from 'node:os';
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
  /** The top block node, with what is below it in it; see QEMU's BlockdevOptions. */
  node: Record<string, unknown>;
  writable: boolean;
  /** Largest file that the daemon may write, in bytes; what would make one larger fails (EFBIG). */
  largestFileBytes?: number;
  /** What paths in the node are relative to, such as those of sockets, which end at 107 bytes; else, this process's. */
  workingDirectory?: string;
}

/** A daemon told to end first flushes what the host still holds in memory, which may be gigabytes. */
const FLUSH_MILLISECONDS = 100_000;

/**
 * QEMU before 8.0 takes a hole that is punched for a discard: it reports success, and what was there before is still read. e2fsprogs
 * zero blocks by holes. So discards fail with ENOSYS, upon which the kernel refuses all fallocate calls on the mount, and whoever
 * made one writes zeros. Later versions write the zeros, and discard nothing.
 */
const withoutDiscard = (node: Record<string, unknown>): Record<string, unknown> => ({
  driver: 'blkdebug',
  discard: 'unmap',
  'inject-error': [{ event: 'none', iotype: 'discard', errno: constants.errno.ENOSYS }],
  image: node,
});

/** Starts the daemon. @throws ToolFailedError with QEMU's own words where the node cannot be opened */
export async function startFuseExport(wanted: FuseExport): Promise<void> {
  const { pidFile, path, node, writable, largestFileBytes, workingDirectory } = wanted;
  const top = writable ? withoutDiscard(node) : node;
  const daemon = [
    'qemu-storage-daemon',
    ...['--blockdev', JSON.stringify({ ...top, 'node-name': 'disk', 'read-only': !writable })],
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
