/** Sections of a file as systemd and NetworkManager write them; the same key may come more than once. */
export type Sections = { name: string; values: [key: string, value: string][] }[];

export function parseIni(text: string): Sections {
  const sections: Sections = [];
  for (const raw of text.replace(/\\\r?\n/g, ' ').split('\n')) {
    const line = raw.trim();
    const name = /^\[(.*)\]$/.exec(line)?.[1];
    if (name !== undefined) sections.push({ name, values: [] });
    else if (!/^[#;]/.test(line)) {
      const at = line.indexOf('=');
      if (at > 0) sections.at(-1)?.values.push([line.slice(0, at).trim(), line.slice(at + 1).trim()]);
    }
  }
  return sections;
}

/** Values of a key in all sections of a name, upper and lower case alike. */
export function valuesOf(sections: Sections, section: RegExp, key: RegExp): string[] {
  return sections
    .filter(({ name }) => section.test(name))
    .flatMap(({ values }) => values.filter(([one]) => key.test(one)).map(([, value]) => value));
}
