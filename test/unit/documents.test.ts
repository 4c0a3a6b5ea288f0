import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { projectRoot } from '../../host/project-root';

/** What people read, whose links and names of files have to lead somewhere. */
const FOLDERS = ['.', 'docs', 'docs/decisions', 'deploy/iam'];
const documents = FOLDERS.flatMap((folder) =>
  readdirSync(join(projectRoot(), folder))
    .filter((name) => name.endsWith('.md'))
    .map((name) => join(folder, name)),
);
const textOf = (document: string): string => readFileSync(join(projectRoot(), document), 'utf8');
const tests = new Set(
  readdirSync(join(projectRoot(), 'test'), { recursive: true }).map((path) => basename(String(path))),
);
const rooms = readdirSync(projectRoot(), { withFileTypes: true })
  .filter((entry) => entry.isDirectory() && !/^(\.|dist$|node_modules$)/.test(entry.name))
  .map(({ name }) => name);

/** Anchors of a document's headings, as GitHub makes them. */
const anchorsOf = (document: string): string[] =>
  [...textOf(document).matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\w\- ]/g, '')
      .replaceAll(' ', '-'),
  );

it.each(documents)('the links of %s lead somewhere', (document) => {
  const broken = [...textOf(document).matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, target = '']) => target)
    .filter((target) => !/^[a-z]+:/.test(target))
    .filter((target) => {
      const [path = '', anchor] = target.split('#');
      const file = path === '' ? document : join(dirname(document), path);
      if (!existsSync(join(projectRoot(), file))) return true;
      return anchor !== undefined && !anchorsOf(file).includes(anchor);
    });
  expect(broken).toEqual([]);
});

/** Decisions and the changelog tell of what was there. */
const ofToday = documents.filter((name) => !/^(docs\/decisions\/|CHANGELOG)/.test(name));
it.each(ofToday)('the files and folders that %s names are there', (document) => {
  const named = [...textOf(document).matchAll(/`([\w.\-/]+)`/g)].map(([, name = '']) => name);
  const missing = named.filter((name) => {
    if (/^[\w-]+\.test\.ts$/.test(name)) return !tests.has(name);
    return rooms.includes(name.split('/')[0] ?? '') && name.includes('/')
      ? ![name, join(dirname(document), name)].some((path) => existsSync(join(projectRoot(), path)))
      : false;
  });
  expect(missing).toEqual([]);
});
