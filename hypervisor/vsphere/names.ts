/**
 * Names in vSphere's inventory. The API writes three characters of a name escaped (ManagedEntity.name): `%`, `/` and `\`;
 * people see them as they are. A path joins escaped names by slashes.
 */

const ESCAPES: readonly [plain: string, escaped: string][] = [
  ['%', '%25'],
  ['/', '%2f'],
  ['\\', '%5c'],
];

export function escapeName(name: string): string {
  return ESCAPES.reduce((text, [plain, escaped]) => text.replaceAll(plain, escaped), name);
}

/** As people see it. */
export function shownName(name: string): string {
  return name.replace(/%(25|2f|5c)/gi, (escaped) => decodeURIComponent(escaped));
}

/** How a plan may refer to a VM: by inventory path, by instance UUID, or by a name that it has alone in the datacenter. */
export type VmReference = { path: string[] } | { instanceUuid: string } | { name: string };

/** vSphere's limit on the name of an entity. */
const MAX_NAME = 80;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** @throws Error for what can be no reference */
export function parseReference(vm: string): VmReference {
  if (vm.startsWith('/')) {
    const path = vm.slice(1).split('/');
    if (path.length < 3)
      throw new Error(
        `"${vm}" is no path of a VM: it begins with the datacenter, as in /DC1/vm/Folder/Name.`,
      );
    for (const part of path) checkName(part, vm);
    return { path };
  }
  if (UUID.test(vm)) return { instanceUuid: vm.toLowerCase() };
  if (vm.includes('/'))
    throw new Error(
      `"${vm}" is no name of a VM: write a slash in a name as %2f, and begin an inventory path with one.`,
    );
  checkName(vm, vm);
  return { name: vm };
}

function checkName(name: string, reference: string): void {
  const shown = shownName(name);
  // Control characters are in no name that anybody can have typed, and would disturb messages.
  if (shown.length === 0 || shown.length > MAX_NAME || name === '.' || name === '..' || hasControls(name))
    throw new Error(
      `${JSON.stringify(reference)} names no VM: a name has 1 to ${MAX_NAME} characters, none of them a control character.`,
    );
}

function hasControls(text: string): boolean {
  return [...text].some((character) => character < ' ' || character === '\x7f');
}
