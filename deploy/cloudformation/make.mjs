// Makes deploy/aws.yaml of aws.source.yaml: puts the policies of deploy/iam in (`!Policy`), the script that installs a proxy (`!File`), and
// what YAML's anchors stand for, which CloudFormation does not read. `npm run template` writes it, `--check` tells whether it is up to date.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isAlias, isMap, isScalar, isSeq, parseDocument, visit } from 'yaml';
import { policyDocument, unusedStatements } from './policies.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const result = join(here, '../aws.yaml');
const text = (...path) => readFileSync(join(here, ...path), 'utf8');
const files = readdirSync(join(here, '../iam')).filter((name) => name.endsWith('.json'));
const policy = (file) => JSON.parse(text('../iam', file));

function make() {
  const document = parseDocument(text('aws.source.yaml'), { merge: true, logLevel: 'silent' });
  if (document.errors.length > 0) throw document.errors[0];
  expand(document);
  const used = [];
  visit(document, {
    Node(_key, node) {
      if (node.tag === '!File') return document.createNode(text(node.value));
      if (node.tag !== '!Policy') return undefined;
      const parts = plain(node);
      used.push(...parts);
      return document.createNode(policyDocument(parts, policy), { aliasDuplicateObjects: false });
    },
  });
  const unused = unusedStatements(used, files, policy);
  if (unused.length > 0)
    throw new Error(
      `In no policy of aws.source.yaml: ${unused.join(', ')}. Name each in the policy that it belongs to.`,
    );
  shorten(document);
  document.commentBefore = ` Made by deploy/cloudformation/make.mjs (npm run template): change aws.source.yaml there, or deploy/iam.\n\n${document.commentBefore}`;
  return document.toString({ lineWidth: 0, singleQuote: true });
}

/** `!Sub x` for `{ Fn::Sub: x }`: a tag cannot stand before another, so a function of which the argument is one stays as it is. */
function shorten(document) {
  visit(document, {
    Map(_key, map) {
      const [pair, ...others] = map.items;
      const [, name] = /^(?:Fn::)?(Ref|Sub|If|Join|Split)$/.exec(String(pair?.key?.value)) ?? [];
      if (name === undefined || others.length > 0 || pair.value.tag?.startsWith('!')) return undefined;
      const argument = pair.value;
      argument.tag = `!${name}`;
      // Few arguments on one line.
      if (argument.items?.every((item) => isScalar(item))) argument.flow = true;
      return argument;
    },
  });
}

/** A policy's list of files and statements, without YAML's nodes. */
function plain(node) {
  const copy = node.clone();
  delete copy.tag;
  return copy.toJSON();
}

/** Puts copies in the places of aliases, and merges maps into those that ask for it (`<<`). */
function expand(document) {
  visit(document, {
    Alias(_key, node) {
      return withoutAnchor(node.resolve(document).clone());
    },
    Map(_key, map) {
      // With `merge`, the key is a symbol.
      const merged = map.items.find(({ key }) => isScalar(key) && String(key.value) === 'Symbol(<<)');
      if (merged === undefined) return;
      const from = isAlias(merged.value) ? merged.value.resolve(document) : merged.value;
      const own = map.items.filter((item) => item !== merged);
      const has = (key) => own.some((item) => item.key.value === key);
      map.items = [...from.clone().items.filter(({ key }) => !has(key.value)), ...own];
      map.flow = false;
    },
  });
  visit(document, { Node: (_key, node) => void withoutAnchor(node) });
}

function withoutAnchor(node) {
  if (isMap(node) || isSeq(node)) delete node.anchor;
  return node;
}

const made = make();
if (!process.argv.includes('--check')) writeFileSync(result, made);
else if (readFileSync(result, 'utf8') !== made) {
  console.error('deploy/aws.yaml is not what its sources make: run `npm run template`.');
  process.exitCode = 1;
}
