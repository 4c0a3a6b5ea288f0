import { printable } from '../plan/printable';
import { type Evidence } from '../repository/evidence/document';
import { type KeptEvidenceDocument } from '../repository/evidence/chain';
import { type SignOff } from '../repository/evidence/sign-off';
import { type VerifiedEvidence } from '../repository/evidence/verify';
import { type WithEvidence } from '../workflows/evidence';
import { secondsText } from './numbers';
import { tableText } from './table';

/** Where the evidence of a run is; of a run of an earlier release, nothing. */
export function evidenceLine(plan: string, { evidence, noEvidence }: WithEvidence): string {
  if (noEvidence !== undefined) return `mind: ${printable(noEvidence)}\n`;
  if (evidence === undefined) return '';
  return `Evidence: ${evidence.document}, number ${evidence.sequence} (lifeboat evidence show ${plan} --html FILE)\n`;
}

export function evidenceListText(plan: string, documents: readonly KeptEvidenceDocument[]): string {
  if (documents.length === 0) return `No run of the plan ${plan} has left evidence.\n`;
  return tableText(
    ['number', 'run', 'kind', 'started', 'ended', 'objectives', 'SHA-256'],
    documents.map(({ sequence, runId, kind, startedAt, ended, verdict, sha256 }) => [
      ...[String(sequence), printable(runId), printable(kind), startedAt, ended],
      ...[printable(verdict), sha256.slice(0, 16)],
    ]),
  );
}

/** The document in a few lines; all of it is in the JSON, and in the page. */
export function evidenceText(evidence: Evidence, sha256: string): string {
  const { run, plan, outcome, objectives, vms, deviations, dns, resources, chain } = evidence;
  const measured = (name: string, of: Evidence['objectives']['rpo']): string =>
    `${name}: ${of.measuredSeconds === null ? 'not measured' : secondsText(of.measuredSeconds)}` +
    `${of.objectiveSeconds === null ? '' : `, objective ${secondsText(of.objectiveSeconds)}`} (${of.verdict})\n`;
  const up = vms.filter((vm) => vm.outcome === 'up').length;
  return printableLines(
    `${run.kind} of ${plan.name}, run ${run.runId}: ${outcome.ended}\n` +
      `${run.startedAt} to ${run.endedAt}\n` +
      (outcome.failure === null ? '' : `failure: ${outcome.failure}\n`) +
      measured('RPO', objectives.rpo) +
      measured('RTO', objectives.rto) +
      `VMs up: ${up} of ${vms.length}\n` +
      (dns === null ? '' : `DNS: ${dns.proof ?? 'not recorded'}\n`) +
      `${resources.statement}\n` +
      deviations
        .map(
          ({ vm, what, cause }) =>
            `deviation: ${vm === null ? '' : `${vm}: `}${what}${cause === null ? '' : ` (${cause})`}\n`,
        )
        .join('') +
      `Number ${chain.sequence} of the plan's evidence, SHA-256 ${sha256}\n`,
  );
}

/** Who stands for a document. */
export function signOffText({ signs, by, remark, osUser, awsCaller, writtenAt, chain }: SignOff): string {
  return printableLines(
    `Signed off at ${writtenAt} by ${by} (claimed; user ${osUser}${awsCaller === null ? '' : `, AWS credentials of ${awsCaller}`}): ${remark}\n` +
      `  number ${chain.sequence}, of number ${signs.sequence} with the SHA-256 ${signs.sha256}\n`,
  );
}

const printableLines = (text: string): string => text.split('\n').map(printable).join('\n');

export function verifiedText({ plan, documents, head, signOffs, faults }: VerifiedEvidence): string {
  if (faults.length > 0)
    return (
      faults.map(({ key, problem }) => `${printable(key)} ${printable(problem)}\n`).join('') +
      `The evidence of ${plan} is not what Lifeboat wrote.\n`
    );
  if (head === null) return `No run of the plan ${plan} has left evidence.\n`;
  return (
    `${documents} ${documents === 1 ? 'document' : 'documents'} of ${plan}: each is there, unchanged, and follows from the one before.\n` +
    signOffs
      .map(
        ({ sequence, signs, by, at }) =>
          `Number ${signs} is signed by ${printable(by)} (claimed), at ${at}: number ${sequence}.\n`,
      )
      .join('') +
    `The last has the SHA-256 ${head}; keep it elsewhere, and verify with --head to show that none was written anew.\n`
  );
}
