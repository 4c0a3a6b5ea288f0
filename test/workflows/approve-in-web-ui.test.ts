import { setTimeout as sleep } from 'node:timers/promises';
import { type RunStatus } from '../../workflows/run/messages';
import { hasBrowser, openBrowser, type Page } from '../support/browser';
import { eventually } from '../support/eventually';
import { dependent, failOverOn } from './failover-run';
import { describeWithTemporal, startTemporal, temporalCli } from './local-temporal';

/** `LIFEBOAT_LONG_TESTS=1` runs it, where there is a browser, which set-up brings then. */
const withBrowser =
  temporalCli() !== undefined && process.env.LIFEBOAT_LONG_TESTS === '1' && hasBrowser()
    ? describeWithTemporal
    : describe.skip;

/** The first such element that a mouse would meet: menus are in the page before they are opened, and some elements are there twice. */
const seen = (selector: string, text = ''): string =>
  `[...document.querySelectorAll('${selector}')].find((one) => {
    const { x, y, width, height } = one.getBoundingClientRect();
    return one.textContent.trim().startsWith('${text}') && one.contains(document.elementFromPoint(x + width / 2, y + height / 2));
  })`;
const FORM = 'dialog#update-confirmation-modal[open]';
const within = (selector: string): string => `document.querySelector('${FORM} ${selector}')`;

withBrowser("Temporal's Web UI, in a real browser", () => {
  let page: Page;
  beforeAll(async () => {
    page = await openBrowser();
  }, 120_000);
  afterAll(() => page?.close(), 30_000);

  /** Sends an update as a person does: More Actions, Send an Update, its name, its JSON, Submit. */
  async function sendUpdate(name: string, data: object): Promise<void> {
    // What closes by itself meanwhile is opened again.
    const open = `document.querySelector('${FORM}')`;
    const item = seen('[data-testid="update-button"]');
    await page.click(`(${item} ?? ${seen('button[aria-controls="workflow-actions"]')})`, open);
    const option = seen(`${FORM} [role="option"]`, name);
    await page.click(
      `(${option} ?? ${within('[data-testid="update-select-button"]')})`,
      `${within('input#update-select')}?.value === '${name}'`,
    );
    const editor = within('[role="textbox"]');
    await page.click(editor, `document.activeElement === ${editor}`);
    await page.type(JSON.stringify(data));
    await page.click(within('[data-testid="confirm-modal-button"]'), `!document.querySelector('${FORM}')`);
  }

  it('a gate holds DNS back until it is approved there', async () => {
    const server = await startTemporal({ ui: true });
    try {
      const plan = dependent(['db', 'web'], { web: ['db'] });
      plan.dns = {
        ...{ hostedZone: 'Z0000000000000', approval: true },
        records: [{ name: 'www.shop.example', vm: 'web', address: 'private', ttl: 60 }],
      };
      const calls: string[] = [];
      // The dev server's own rule.
      const [host, port] = server.address.split(':');
      const webUi = `http://${host}:${Number(port) + 1000}`;
      const { outcome } = await failOverOn(
        server,
        { plan: 'shop', mode: 'disaster' },
        {},
        {
          ...{ of: plan, calls },
          meanwhile: async (run) => {
            try {
              await eventually(60, async () => {
                const { awaited } = await run.query<RunStatus>('status');
                return awaited?.[0]?.gate === 'DNS' ? true : undefined;
              });
              const { runId } = await run.describe();
              await page.goto(
                `${webUi}/namespaces/default/workflows/${encodeURIComponent(run.workflowId)}/${runId}`,
              );
              await sleep(1000);
              expect(calls).toContain('waitUntilReady web');
              expect(calls).not.toContain('moveDns');
              await sendUpdate('approve', { dns: true, by: 'ada', why: 'the shop answers' });
              await eventually(60, () => Promise.resolve(calls.includes('moveDns') ? true : undefined));
            } catch (error) {
              await run.terminate().catch(() => undefined);
              throw error;
            }
          },
        },
      );
      expect(outcome).toMatchObject({ approvals: [{ gate: 'DNS', by: 'ada', why: 'the shop answers' }] });
    } finally {
      await server.teardown();
    }
  }, 240_000);
});
