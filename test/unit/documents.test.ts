import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { type Command } from 'commander';
import { buildProgram } from '../../cli/program';
import { projectRoot } from '../../host/project-root';
import { testIo } from './cli-io';

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

describe('the command', () => {
  const program = buildProgram({ io: testIo({}, projectRoot()).io, exit: () => undefined });

  /** `schedule test` with its options, and what is below it. */
  const commandsOf = (command: Command, path = ''): [string, Command][] =>
    command.commands.flatMap((one) => {
      const name = `${path}${one.name()}`;
      return [[name, one] as [string, Command], ...commandsOf(one, `${name} `)];
    });
  const commands = new Map(commandsOf(program));

  /** What stands in code of a document as a call, without what is said of it. */
  const callsIn = (document: string): string[] =>
    [...textOf(document).matchAll(/^```[\s\S]*?^```|`[^`\n]+`/gm)]
      .flatMap(([code]) => code.replace(/^```\w*|`/g, '').split('\n'))
      .flatMap((line) => /^(?:npx )?lifeboat ([a-z].*)$/.exec(line)?.[1] ?? [])
      .map((call) => call.replace(/ {2,}.*| +#.*/, ''));

  /** What of a call the program does not have. `up|down` are two. */
  function unknownIn(call: string): string[] {
    const [first = [], second = []] = call.split(' ').map((word) => word.split('|'));
    const takesSecond = (one: string): boolean => {
      const command = commands.get(one);
      // One without arguments of its own is a room of others; of `worker`, a role stands there as well.
      if (command === undefined || command.commands.length === 0 || second.length === 0) return false;
      return command.registeredArguments.length === 0 || commands.has(`${one} ${second[0]}`);
    };
    const names = first.flatMap((one) => (takesSecond(one) ? second.map((two) => `${one} ${two}`) : [one]));
    const known = names.flatMap((name) => commands.get(name) ?? []);
    if (known.length < names.length) return [names.join(', ')];
    const has = (long: string): boolean =>
      long === '--help' || known.some((one) => one.options.some((option) => option.long === long));
    return [...call.matchAll(/--[a-z][a-z-]*/g)].map(([long]) => long).filter((long) => !has(long));
  }

  it.each(ofToday)('is called in %s as it is', (document) => {
    const wrong = callsIn(document).flatMap((call) => unknownIn(call).map((what) => `${what} of ${call}`));
    expect(wrong).toEqual([]);
  });

  it('has no command that docs/cli.md does not list', () => {
    const [list = ''] = /^```[\s\S]*?^```/m.exec(textOf('docs/cli.md')) ?? [];
    const leaves = [...commands].filter(([, { commands: below }]) => below.length === 0);
    const words = leaves.filter(
      ([name]) => !name.split(' ').every((word) => new RegExp(`\\b${word}\\b`).test(list)),
    );
    expect(words.map(([name]) => name)).toEqual([]);
    expect(leaves.length).toBeGreaterThan(40);
  });
});
