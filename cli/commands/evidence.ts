import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Command } from 'commander';
import {
  type KeptEvidenceDocument,
  listEvidence,
  readEvidence,
  readEvidencePage,
} from '../../repository/evidence/chain';
import { evidenceJsonSchema } from '../../repository/evidence/document';
import { verifyEvidence } from '../../repository/evidence/verify';
import { type ObjectStore } from '../../repository/objects/object-store';
import { evidenceListText, evidenceText, verifiedText } from '../evidence-text';
import { CliError, EXIT } from '../exit-codes';
import { type CliContext, writeJson } from '../io';
import { findPlan } from '../plan-argument';
import { siteSettings } from '../run-command';

interface Options {
  json?: boolean;
}
interface ShowOptions extends Options {
  html?: string;
}
interface VerifyOptions extends Options {
  head?: string;
}

/** `evidence list|show|verify|schema`: the documents that runs leave for auditors. Asks the backup repository alone. */
export function evidenceCommand({ io, exit }: CliContext): Command {
  const evidence = new Command('evidence').description(
    'show the documents that failovers, tests and failbacks leave for auditors, and verify them',
  );
  const subcommand = (name: string, description: string): Command =>
    evidence
      .command(name)
      .description(description)
      .argument('<plan>', 'path of a plan file, or name of a published plan')
      .option('--json', 'write one JSON document to stdout');
  const open = (argument: string) => findPlan(argument, siteSettings(io), io.cwd);

  subcommand('list', 'list the documents of the plan').action(async (argument: string, options: Options) => {
    const { plan, store } = await open(argument);
    const documents = await listEvidence(store, plan.name);
    if (options.json === true)
      writeJson(io, { command: 'evidence list', ok: true, plan: plan.name, documents });
    else io.out(evidenceListText(plan.name, documents));
  });

  subcommand('show', 'show the document of a run')
    .argument('[run]', "the run's id or the document's number; the last document where it is absent")
    .option('--html <file>', 'write its page there')
    .action(async (argument: string, run: string | undefined, options: ShowOptions) => {
      const { plan, store } = await open(argument);
      const { sequence } = await find(store, plan.name, run);
      const { evidence: found, sha256 } = await readEvidence(store, plan.name, sequence);
      if (options.html !== undefined)
        await writeFile(path.resolve(io.cwd, options.html), await readEvidencePage(store, found));
      if (options.json === true)
        writeJson(io, {
          ...{ command: 'evidence show', ok: true, plan: plan.name, sha256, html: options.html ?? null },
          evidence: found,
        });
      else
        io.out(
          evidenceText(found, sha256) +
            (options.html === undefined ? '' : `Its page is in ${options.html}.\n`),
        );
    });

  subcommand('verify', 'show that no document was changed, removed or put between others')
    .option('--head <sha256>', 'a SHA-256 of a document that was kept elsewhere: it must be among them')
    .action(async (argument: string, options: VerifyOptions) => {
      if (options.head !== undefined && !/^[0-9a-f]{64}$/.test(options.head))
        throw new CliError('--head must be a SHA-256: 64 digits and letters from a to f.', EXIT.badInput);
      const { plan, store } = await open(argument);
      const verified = await verifyEvidence(store, plan.name, options.head);
      const ok = verified.faults.length === 0;
      if (options.json === true) writeJson(io, { command: 'evidence verify', ok, ...verified });
      else io.out(verifiedText(verified));
      if (!ok) exit(EXIT.failed);
    });

  evidence
    .command('schema')
    .description('write the JSON Schema of the documents to stdout')
    .action(() => io.out(`${JSON.stringify(evidenceJsonSchema(), null, 2)}\n`));

  return evidence;
}

async function find(
  store: ObjectStore,
  plan: string,
  run: string | undefined,
): Promise<KeptEvidenceDocument> {
  const documents = await listEvidence(store, plan);
  const found =
    run === undefined
      ? documents.at(-1)
      : documents.find(({ runId, sequence }) => runId === run || String(sequence) === run);
  if (found !== undefined) return found;
  throw new CliError(
    run === undefined
      ? `No run of the plan ${plan} has left evidence.`
      : `The plan ${plan} has no evidence of the run "${run}": lifeboat evidence list ${plan}`,
    EXIT.badInput,
  );
}
