import { runTool } from '../../host/run-tool';
import { ToolTooOldError } from '../port';

const VERSION_SECONDS = 30;

/** What e2fsck and libext2fs say of a file system that was made by a newer version of them. */
export function saysTooOld(text: string): boolean {
  return /unsupported (read-only )?feature\(s\)|Get a newer version of e2fsck|revision level too high/i.test(
    text,
  );
}

/** That the guest's file system is newer than this host's tools, which is not its fault. */
export async function e2fsprogsTooOld(device: string, complaint: string): Promise<ToolTooOldError> {
  const { stderr } = await runTool('e2fsck', ['-V'], { timeoutSeconds: VERSION_SECONDS });
  const version = /^e2fsck (\S{1,20})/m.exec(stderr)?.[1] ?? 'of an unknown version';
  // FEATURE_C12 is the twelfth compatible feature, to a version that has no name for it.
  const features = /unsupported feature\(s\): ([\w ,-]{1,200})/.exec(complaint)?.[1]?.trim();
  return new ToolTooOldError(
    `This proxy's e2fsprogs ${version} is too old for a file system of the guest (${device})` +
      (features === undefined
        ? ', which has features that it does not know. '
        : `, which has ${features}. `) +
      'Nothing is wrong with the guest. Install a newer e2fsprogs on the proxy (that of a Debian or Ubuntu at least as new as ' +
      'the guest); the run goes on by itself then.',
  );
}
