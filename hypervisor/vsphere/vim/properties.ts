import { VimAnswerError } from './errors';
import { VimFault } from './faults';
import { type Session } from './session';
import { type AnyMethodFault, type ManagedObject, type Properties } from './schema';

/** Objects of a page. vCenter may send fewer. */
const PAGE = 100;

/** The type at a path of an object; `unknown` where the schema here does not have it. */
export type AtPath<O, P extends string> = P extends keyof O
  ? O[P]
  : P extends `${infer Head}.${infer Rest}`
    ? Head extends keyof O
      ? AtPath<NonNullable<O[Head]>, Rest>
      : unknown
    : unknown;

/** Properties by their paths; one that is unset on the server is absent. */
export type PropertiesOf<T extends string, P extends string> = {
  [path in P]?: T extends keyof Properties ? AtPath<Properties[T], path> : unknown;
};

export type Listed<T extends string, P extends string> = PropertiesOf<T, P> & {
  ref: ManagedObject<T>;
  /** What could not be read (for want of a privilege, mostly), and why, by its path. */
  missing?: Record<string, AnyMethodFault>;
};

/** @throws VimFault also where one of them cannot be read */
export async function getProperties<T extends string, P extends string>(
  session: Session,
  object: ManagedObject<T>,
  paths: readonly P[],
): Promise<PropertiesOf<T, P>> {
  const found = await session.call('RetrievePropertiesEx', session.content.propertyCollector, {
    specSet: [{ propSet: [{ type: object.$ref, pathSet: [...paths] }], objectSet: [{ obj: object }] }],
    options: {},
  });
  const content = found?.objects[0];
  if (content === undefined)
    throw new VimAnswerError(`RetrievePropertiesEx: nothing came for ${object.$ref} ${object.value}.`);
  const missing = content.missingSet[0];
  if (missing !== undefined)
    throw new VimFault(
      'RetrievePropertiesEx',
      missing.fault.fault,
      `${missing.path} of ${object.$ref} ${object.value} cannot be read. ${missing.fault.localizedMessage ?? ''}`.trim(),
    );
  return Object.fromEntries(content.propSet.map(({ name, val }) => [name, val])) as PropertiesOf<T, P>;
}

/** All objects of a type below a container, and so many of their properties. */
export async function listObjects<T extends string, P extends string>(
  session: Session,
  type: T,
  paths: readonly P[],
  container: ManagedObject = session.content.rootFolder,
): Promise<Listed<T, P>[]> {
  const { content } = session;
  const view = await session.call('CreateContainerView', content.viewManager as ManagedObject, {
    container,
    type: [type],
    recursive: true,
  });
  const listed: Listed<T, P>[] = [];
  try {
    let page = await session.call('RetrievePropertiesEx', content.propertyCollector, {
      specSet: [
        {
          propSet: [{ type, pathSet: [...paths] }],
          objectSet: [
            {
              obj: view,
              skip: true,
              selectSet: [{ $type: 'TraversalSpec', type: 'ContainerView', path: 'view', skip: false }],
            },
          ],
        },
      ],
      options: { maxObjects: PAGE },
    });
    for (;;) {
      for (const { obj, propSet, missingSet } of page?.objects ?? [])
        listed.push({
          ...Object.fromEntries(propSet.map(({ name, val }) => [name, val])),
          ref: obj,
          ...(missingSet.length === 0
            ? {}
            : { missing: Object.fromEntries(missingSet.map(({ path, fault }) => [path, fault.fault])) }),
        } as unknown as Listed<T, P>);
      if (page?.token === undefined) break;
      page = await session.call('ContinueRetrievePropertiesEx', content.propertyCollector, {
        token: page.token,
      });
    }
  } catch (error) {
    await session.call('DestroyView', view).catch(() => undefined); // The first error is the one to tell.
    throw error;
  }
  await session.call('DestroyView', view);
  return listed;
}
