import { isDeepStrictEqual } from 'node:util';
import { request } from 'undici';
import { z } from 'zod';
import { type FamilyName } from '../guests/families/families';
import { prove } from './steps';
import { untilAnswering } from './until-answering';

/** Seconds for one question, to a machine that is emulated. */
const REQUEST_SECONDS = 15;

const aboutSchema = z.record(z.string(), z.string());
const notesSchema = z.array(z.string());

/** What a guest of another family says of itself: `hostname`, `root`, `data`, `options`, `selinux`. */
export async function aboutGuest(address: string): Promise<Record<string, string>> {
  return aboutSchema.parse(JSON.parse(await ask(address, '/about')));
}

/** The notes that it keeps on its data volume, oldest first. */
export async function notesOf(address: string): Promise<string[]> {
  return notesSchema.parse(JSON.parse(await ask(address, '/notes')));
}

/** Has it keep a note; it answers when the note is on its disk. */
export async function keepNote(address: string, note: string): Promise<void> {
  await ask(address, '/notes', JSON.stringify(note));
}

async function ask(address: string, path: string, sent?: string): Promise<string> {
  const answer = await request(`http://${address}${path}`, {
    method: sent === undefined ? 'GET' : 'POST',
    body: sent ?? null,
    signal: AbortSignal.timeout(REQUEST_SECONDS * 1000),
  });
  const body = await answer.body.text();
  if (answer.statusCode >= 300)
    throw new Error(`http://${address}${path} answered ${answer.statusCode}: ${body.slice(0, 200)}`);
  return body;
}

/** Where a guest is at this time. */
export type AddressOf = (vm: FamilyName) => string;

/** The VMs of other families that take part in the story beside the sample application; none, as a rule. */
export class OtherGuests {
  private readonly notes: string[] = [];

  constructor(private readonly names: readonly FamilyName[]) {}

  async untilServing(addressOf: AddressOf, seconds: number): Promise<void> {
    for (const vm of this.names) await untilAnswering(vm, seconds, () => ask(addressOf(vm), '/health'));
  }

  async keepNote(addressOf: AddressOf, note: string): Promise<void> {
    for (const vm of this.names) await keepNote(addressOf(vm), note);
    this.notes.push(note);
  }

  /**
   * @returns a sentence that says what they are and that they have all their notes; nothing where there are none
   * @throws Error where one does not answer, is another, or lacks a note
   */
  async proof(addressOf: AddressOf): Promise<string> {
    const told: string[] = [];
    for (const vm of this.names) {
      const { hostname, root } = await aboutGuest(addressOf(vm));
      prove(hostname === vm, `${hostname} answers where ${vm} should be.`);
      const notes = await notesOf(addressOf(vm));
      prove(
        isDeepStrictEqual(notes, this.notes),
        `${vm} has the notes ${JSON.stringify(notes)}, not ${JSON.stringify(this.notes)}.`,
      );
      told.push(`${vm} (${root})`);
    }
    if (told.length === 0) return '';
    return ` ${told.join(' and ')} ${told.length === 1 ? 'has' : 'have'} all notes, too.`;
  }
}
