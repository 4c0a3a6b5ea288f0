import { type GuestFiles } from './port';

/** Opens the guest's file systems together. What was written is on the disk only once they are closed. */
export type OpenGuest = () => Promise<GuestFiles>;

/** Opens the guest, does the work, and closes it whatever happens. */
export async function withGuest<T>(open: OpenGuest, work: (files: GuestFiles) => Promise<T>): Promise<T> {
  const files = await open();
  let result: T;
  try {
    result = await work(files);
  } catch (error) {
    // The first error says what went wrong; closing fails in its wake.
    await files.close().catch(() => undefined);
    throw error;
  }
  await files.close();
  return result;
}
