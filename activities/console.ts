/** What GetConsoleOutput keeps of an instance's console, in bytes (EC2 API Reference). */
export const CONSOLE_BYTES = 64 * 1024;

/** Of the console, what fits a failure's message: the end tells why a boot failed. */
const CONSOLE_LINES = 20;
const CONSOLE_LINE_LENGTH = 200;

/** A console's lines, fit to be shown: whatever the guest wrote there, it moves no cursor and hides no text. */
export function consoleLines(console: string): string[] {
  return (
    console
      // Escape sequences of terminals (ECMA-48 control sequences, and two-character ones), then control characters.
      // eslint-disable-next-line no-control-regex
      .replace(/\u001b(\[[0-?]*[ -/]*[@-~]|[@-_])/g, '')
      .split(/\r\n|\n|\r/)
      .map((line) =>
        // eslint-disable-next-line no-control-regex
        line.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g, ''),
      )
      .map((line) => line.trimEnd())
      .filter((line) => line !== '')
  );
}

/** A console's last lines. */
export function lastLines(console: string): string {
  const lines = consoleLines(console).slice(-CONSOLE_LINES);
  return lines.length === 0
    ? '(empty)'
    : lines.map((line) => line.slice(0, CONSOLE_LINE_LENGTH).trimEnd()).join('\n');
}
