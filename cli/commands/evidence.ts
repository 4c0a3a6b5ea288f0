import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Command } from 'commander';
import { signOffPage } from '../../activities/control/evidence/sign-off-page';
import { told } from '../../activities/control/evidence/values';
import { awsCaller } from '../../client/caller';
import {
  addSignOff,
  isSignOff,
  type KeptEvidenceDocument,
  listEvidence,
  readDocument,
  readEvidencePage,
} from '../../repository/evidence/chain';
import { evidenceJsonSchema } from '../../repository/evidence/document';
import { type SignOff, signOffJsonSchema } from '../../repository/evidence/sign-off';
import { verifyEvidence } from '../../repository/evidence/verify';
import { type ObjectStore } from '../../repository/objects/object-store';
import { whoAmI } from '../../client/who-am-i';
import { byOption, oneLine } from '../deciding';
import { evidenceListText, evidenceText, signOffText, verifiedText } from '../evidence-text';
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
interface SignOptions extends Options {
  by: string;
  remark: string;
}
interface VerifyOptions extends Options {
  head?: string;
}

/** `evidence list|show|sign|verify|schema`: the documents that runs leave for auditors. Asks the backup repository alone. */
export function evidenceCommand({ io, exit }: CliContext): Command {
  const evidence = new Command('evidence').description(
    'show the documents that failovers, tests and failbacks leave for auditors, sign and verify them',
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
      const documents = await listEvidence(store, plan.name);
      const { sequence } = find(documents, plan.name, run);
      const { document: found, sha256 } = await readDocument(store, plan.name, sequence);
      const signOffs = await signOffsOf(store, plan.name, documents, sequence);
      if (options.html !== undefined)
        await writeFile(path.resolve(io.cwd, options.html), await readEvidencePage(store, found));
      if (options.json === true)
        writeJson(io, {
          ...{ command: 'evidence show', ok: true, plan: plan.name, sha256, html: options.html ?? null },
          evidence: found,
          signOffs,
        });
      else
        io.out(
          (isSignOff(found) ? signOffText(found) : evidenceText(found, sha256)) +
            signOffs.map(signOffText).join('') +
            (options.html === undefined ? '' : `Its page is in ${options.html}.\n`),
        );
    });

  subcommand(
    'sign',
    'sign the document of a run: add one to the chain that says who stands for it, when and why',
  )
    .argument('[run]', "the run's id or the document's number; the last run's where it is absent")
    .addOption(byOption('who signs, as the document keeps it'))
    .requiredOption('--remark <text>', 'what the signer says of it, on one line', oneLine)
    .action(async (argument: string, run: string | undefined, options: SignOptions) => {
      const by = told(options.by);
      const remark = told(options.remark);
      const settings = siteSettings(io);
      const { plan, store } = await findPlan(argument, settings, io.cwd);
      const { sequence } = find(await listEvidence(store, plan.name), plan.name, run);
      const read = await readDocument(store, plan.name, sequence);
      if (isSignOff(read.document))
        throw new CliError(
          `Number ${sequence} is a sign-off itself; sign number ${read.document.signs.sequence}.`,
          EXIT.badInput,
        );
      const caller = await awsCaller(plan.recoverySite.region);
      const signed = await addSignOff(
        store,
        { evidence: read.document, sha256: read.sha256 },
        { by, remark, osUser: told(whoAmI()), awsCaller: caller ?? null },
        signOffPage,
        new Date().toISOString(),
      );
      const { document } = await readDocument(store, plan.name, signed.sequence);
      if (options.json === true)
        writeJson(io, {
          ...{ command: 'evidence sign', ok: true, plan: plan.name },
          ...{ sha256: signed.sha256, document: signed.key, signOff: document },
        });
      else if (isSignOff(document)) io.out(signOffText(document));
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
    .option('--sign-off', 'that of sign-offs')
    .action(({ signOff = false }: { signOff?: boolean }) =>
      io.out(`${JSON.stringify(signOff ? signOffJsonSchema() : evidenceJsonSchema(), null, 2)}\n`),
    );

  return evidence;
}

/** Those that sign a document. */
async function signOffsOf(
  store: ObjectStore,
  plan: string,
  documents: readonly KeptEvidenceDocument[],
  signed: number,
): Promise<SignOff[]> {
  const found: SignOff[] = [];
  for (const { sequence, kind } of documents) {
    if (kind !== 'sign-off' || sequence <= signed) continue;
    const { document } = await readDocument(store, plan, sequence);
    if (isSignOff(document) && document.signs.sequence === signed) found.push(document);
  }
  return found;
}

/** The document of a run, or one by its number; without either the last run's. */
function find(
  documents: readonly KeptEvidenceDocument[],
  plan: string,
  run: string | undefined,
): KeptEvidenceDocument {
  const found =
    run === undefined
      ? documents.findLast(({ kind }) => kind !== 'sign-off')
      : documents.find(({ runId, sequence }) => runId === run || String(sequence) === run);
  if (found !== undefined) return found;
  throw new CliError(
    run === undefined
      ? `No run of the plan ${plan} has left evidence.`
      : `The plan ${plan} has no evidence of the run "${run}": lifeboat evidence list ${plan}`,
    EXIT.badInput,
  );
}
