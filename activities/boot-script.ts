import { type BootScript } from '../guest/port';
import { type BootScriptReference } from '../plan/schema';

/** A plan's boot script as it is put into a guest. */
export function bootScriptOf({ name }: BootScriptReference, content: Uint8Array): BootScript {
  return { name: nameInGuest(name), content };
}

/** What a boot script is called in the guest. Characters of its name that a file there may not have are replaced. */
export function nameInGuest(name: string): string {
  return name.replace(/[^A-Za-z0-9._-]/g, '_').replace(/^\.+/, '_') || 'script';
}
