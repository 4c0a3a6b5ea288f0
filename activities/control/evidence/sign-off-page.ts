import { type Evidence } from '../../../repository/evidence/document';
import { type SignOff } from '../../../repository/evidence/sign-off';
import { badges } from './evidence-page';
import { htmlPage } from './page/document';
import { html } from './page/html';
import { code, factsTable, NOT_RECORDED, section } from './page/tables';

/** A sign-off as one HTML page that needs nothing else, as that of the run is. @param signed the document that it stands for */
export function signOffPage(signOff: Omit<SignOff, 'page'>, signed: Evidence): string {
  const { plan, signs, by, remark, osUser, awsCaller, writtenAt, chain } = signOff;
  return htmlPage(
    `Sign-off: ${signs.kind} of ${plan.name}, ${signed.run.startedAt.slice(0, 10)}`,
    html`<header>
        <h1>Sign-off of the ${signs.kind} of the plan ${plan.name}</h1>
        <p class="quiet">
          Evidence number ${chain.sequence} of this plan. It signs number ${signs.sequence}, the run of
          ${signed.run.startedAt} to ${signed.run.endedAt} (UTC).
        </p>
        ${badges(signed)}
      </header>
      ${section(
        'Signed off',
        factsTable([
          ['By, as they said', by],
          ['Remark', remark],
          ['At', writtenAt],
          ['User of the command, as its operating system knew it', osUser],
          ['Credentials of the command, as AWS knew them', awsCaller ?? NOT_RECORDED],
        ]),
      )}
      ${section(
        'What was signed',
        factsTable([
          ['Document', html`number ${signs.sequence}, SHA-256 ${code(signs.sha256)}`],
          ['Run', code(signs.runId)],
          ['Plan', html`${plan.name}, version ${code(plan.digest)}`],
          ['Document before this one', html`SHA-256 ${code(chain.previous)}`],
        ]),
        html`<p class="quiet">
          That the signed document is unchanged is shown by:
          <code>lifeboat evidence verify ${plan.name}</code>
        </p>`,
      )}`,
  );
}
