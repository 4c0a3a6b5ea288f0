import { html, type HtmlValue } from './html';
import { STYLE } from './style';

/** A whole page that needs nothing else: no script, no address that is fetched; and it forbids a browser to load or run anything. */
export function htmlPage(title: string, body: HtmlValue): string {
  return `<!DOCTYPE html>\n${
    html`<html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta
          http-equiv="Content-Security-Policy"
          content="default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
        />
        <meta name="viewport" content="width=device-width" />
        <title>${title}</title>
        <style>
          ${STYLE}
        </style>
      </head>
      <body>
        ${body}
      </body>
    </html> `.markup
  }`;
}
