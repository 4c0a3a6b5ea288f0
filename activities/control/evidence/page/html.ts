/** Text that is HTML already. Made by {@link html} alone, which escapes all that is not. */
export class Html {
  constructor(readonly markup: string) {}
}

/** A value in a template: text is escaped, lists are put together, nothing is nothing. */
export type HtmlValue = Html | string | number | null | undefined | readonly HtmlValue[];

const ESCAPES: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Text as it may stand between tags and in quoted attributes. Guests, tags and people have written it. */
export function escapeHtml(text: string): string {
  return (
    text
      .replace(/[&<>"']/g, (character) => ESCAPES[character] ?? '')
      // Control characters, which XML readers refuse, and what turns the direction of a text, by which it reads as another.
      // eslint-disable-next-line no-control-regex -- that is what is taken out
      .replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g, '\ufffd')
  );
}

/** HTML whose values are escaped: `` html`<td>${name}</td>` ``. Values stand between tags, or in double quotes. */
export function html(strings: TemplateStringsArray, ...values: readonly HtmlValue[]): Html {
  return new Html(strings.reduce((markup, string, index) => markup + render(values[index - 1]) + string));
}

function render(value: HtmlValue): string {
  if (value === null || value === undefined) return '';
  if (value instanceof Html) return value.markup;
  if (typeof value === 'object') return value.map(render).join('');
  return escapeHtml(String(value));
}
