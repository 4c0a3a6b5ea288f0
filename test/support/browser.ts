import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { eventually } from './eventually';

/** Chromium without a window, as Debian packages it: CHROMIUM, else the one on PATH. */
const CHROMIUM = process.env.CHROMIUM ?? 'chromium-headless-shell';

/** Whether this host has a browser. */
export function hasBrowser(): boolean {
  try {
    execFileSync(CHROMIUM, ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** A page of a real browser, which is driven by its DevTools protocol (chromedevtools.github.io/devtools-protocol). */
export interface Page {
  goto(url: string): Promise<void>;
  /** Runs JavaScript in each further document, before its own. */
  beforeEach(script: string): Promise<void>;
  /** Runs JavaScript in the page. @returns what it comes to */
  run<T>(script: string): Promise<T>;
  /**
   * Clicks as a mouse does on the element that the script comes to, once it is there, until `then` comes to something: a page that is
   * still being put together does not hear a click.
   */
  click(script: string, then: string): Promise<void>;
  /** Types into what has the focus. */
  type(text: string): Promise<void>;
  close(): Promise<void>;
}

/** Milliseconds in which a page shows what a click does, where it has heard it. */
const CLICK_HEARD_MS = 1500;

interface Answer {
  id?: number;
  result?: unknown;
  error?: { message: string };
}

/** Seconds until a page shows what it is to show: its scripts come from a server that others keep busy. */
const PATIENCE_SECONDS = 60;

/** Starts a browser with an empty page. To be closed. @param trusting takes any certificate, as those of a test are signed by nobody */
export async function openBrowser({ trusting = false } = {}): Promise<Page> {
  const directory = await mkdtemp(join(tmpdir(), 'lifeboat-browser-'));
  const browser = spawn(
    CHROMIUM,
    [
      // The sandbox of Chromium does not work for root; the pages are our own server's.
      ...['--no-sandbox', '--remote-debugging-port=0', `--user-data-dir=${directory}`],
      ...(trusting ? ['--ignore-certificate-errors'] : []),
      ...['--window-size=1400,1400', '--disable-gpu', 'about:blank'],
    ],
    // A group of its own, by which all that it starts is ended with it: Debian's program is a script.
    { stdio: 'ignore', detached: true },
  );
  try {
    const send = await connect(await pageAddress(directory));
    return pageBy(send, () => end(browser, directory));
  } catch (error) {
    await end(browser, directory);
    throw error;
  }
}

/** Address of the DevTools of its first page. */
async function pageAddress(directory: string): Promise<string> {
  const port = await eventually(PATIENCE_SECONDS, async () => {
    const [line] = (await readFile(join(directory, 'DevToolsActivePort'), 'utf8')).split('\n');
    return line;
  });
  return eventually(PATIENCE_SECONDS, async () => {
    const pages = (await (await fetch(`http://127.0.0.1:${port}/json`)).json()) as {
      type: string;
      webSocketDebuggerUrl: string;
    }[];
    return pages.find(({ type }) => type === 'page')?.webSocketDebuggerUrl;
  });
}

type Send = (method: string, params?: object) => Promise<unknown>;

/** The page's DevTools. They end with the browser. */
async function connect(address: string): Promise<Send> {
  const socket = new WebSocket(address);
  await once(socket, 'open');
  const waiting = new Map<number, (answer: Answer) => void>();
  socket.addEventListener('message', ({ data }) => {
    const answer = JSON.parse(String(data)) as Answer;
    if (answer.id !== undefined) waiting.get(answer.id)?.(answer);
  });
  let last = 0;
  return async (method, params = {}) => {
    const id = ++last;
    const answered = new Promise<Answer>((resolve) => waiting.set(id, resolve));
    socket.send(JSON.stringify({ id, method, params }));
    const { result, error } = await answered;
    waiting.delete(id);
    if (error !== undefined) throw new Error(`${method}: ${error.message}`);
    return result;
  };
}

function pageBy(send: Send, close: () => Promise<void>): Page {
  const run = async <T>(expression: string): Promise<T> => {
    const { result, exceptionDetails } = (await send('Runtime.evaluate', {
      ...{ expression, awaitPromise: true, returnByValue: true },
    })) as {
      result: { value: T };
      exceptionDetails?: { text: string; exception?: { description?: string } };
    };
    if (exceptionDetails !== undefined)
      throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
    return result.value;
  };
  /** Whether a script comes to something within the time in which a page answers a click. */
  const shows = async (script: string): Promise<boolean> => {
    const deadline = Date.now() + CLICK_HEARD_MS;
    for (;;) {
      if (await run<boolean>(`Boolean(${script})`)) return true;
      if (Date.now() > deadline) return false;
      await sleep(100);
    }
  };
  return {
    run,
    goto: async (url) => void (await send('Page.navigate', { url })),
    beforeEach: async (source) => {
      await send('Page.enable');
      await send('Page.addScriptToEvaluateOnNewDocument', { source });
    },
    async click(script, then) {
      await eventually(PATIENCE_SECONDS, async () => {
        const at = await run<{ x: number; y: number } | null>(
          `(() => { const it = ${script}; if (!it || it.disabled) return null; it.scrollIntoView({ block: 'center' });
            const { x, y, width, height } = it.getBoundingClientRect();
            return width === 0 ? null : { x: x + width / 2, y: y + height / 2 }; })()`,
        );
        if (at !== null)
          for (const type of ['mousePressed', 'mouseReleased'])
            await send('Input.dispatchMouseEvent', { type, ...at, button: 'left', clickCount: 1 });
        return (await shows(then)) || undefined;
      });
    },
    type: async (text) => void (await send('Input.insertText', { text })),
    close,
  };
}

async function end(browser: ChildProcess, directory: string): Promise<void> {
  const ended = once(browser, 'exit');
  if (browser.pid !== undefined && browser.exitCode === null && process.kill(-browser.pid, 'SIGKILL'))
    await ended;
  await rm(directory, { recursive: true, force: true, maxRetries: 5 });
}
