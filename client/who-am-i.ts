import { hostname, userInfo } from 'node:os';

/** Who sits at this terminal, as Temporal's own tools tell it. */
export function whoAmI(): string {
  return `${userName()}@${hostname()}`;
}

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    // Containers have users without a name.
    return String(process.getuid?.() ?? 'unknown');
  }
}
