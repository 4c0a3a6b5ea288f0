import { html, type Html, type HtmlValue } from './html';

/** What a document has null for. */
export const NOT_RECORDED = 'not recorded';

export const orNot = (value: string | number | null | undefined): string | number => value ?? NOT_RECORDED;

/** A section with its heading. */
export const section = (title: string, ...content: HtmlValue[]): Html =>
  html`<section>
    <h2>${title}</h2>
    ${content}
  </section> `;

/** A table of facts: a name and a value a row. */
export const factsTable = (rows: [name: string, value: HtmlValue][]): Html =>
  html`<table class="facts">
    <tbody>
      ${rows.map(
        ([name, value]) =>
          html`<tr>
            <th scope="row">${name}</th>
            <td>${value}</td>
          </tr> `,
      )}
    </tbody>
  </table> `;

/** A table with a heading; a sentence where there are no rows. */
export function table(headings: string[], rows: HtmlValue[][], none: string): Html {
  if (rows.length === 0) return html`<p>${none}</p>`;
  return html`<table>
    <thead>
      <tr>
        ${headings.map((heading) => html`<th scope="col">${heading}</th>`)}
      </tr>
    </thead>
    <tbody>
      ${rows.map(
        (row) =>
          html`<tr>
            ${row.map((cell) => html`<td>${cell}</td>`)}
          </tr> `,
      )}
    </tbody>
  </table> `;
}

/** Several lines in one cell. */
export const lines = (values: readonly HtmlValue[]): Html =>
  html`${values.map((value, index) => (index === 0 ? value : html`<br />${value}`))}`;

export const code = (text: string): Html => html`<code>${text}</code>`;
