import { Resolver } from 'node:dns/promises';
import { request } from 'undici';
import { z } from 'zod';
import { SHOP_NAME } from '../application';
import { untilAnswering } from './until-answering';

const ordersSchema = z.array(z.object({ id: z.number(), item: z.string() }));

/** Seconds for one question to the shop. Its own patience is ten, on a machine that is emulated. */
const REQUEST_SECONDS = 15;

/** What a person at the other end of the internet would see: where the name leads, and what is ordered there. */
export interface ShopView {
  /** Address that the name had. */
  address: string;
  /** Items in the order in which they were ordered. */
  orders: string[];
}

/** A customer of the sample application, who knows nothing but its name and a name server. */
export class ShopClient {
  private readonly resolver = new Resolver({ timeout: 2000, tries: 3 });

  /** @param dnsServer `host:port` of the name server to ask */
  constructor(dnsServer: string) {
    this.resolver.setServers([dnsServer]);
  }

  /** Address that the shop's name has now: asked anew each time, as nothing here remembers it. */
  async address(): Promise<string> {
    const [address, ...others] = await this.resolver.resolve4(SHOP_NAME);
    if (address === undefined || others.length > 0)
      throw new Error(`${SHOP_NAME} has ${others.length + 1} addresses, not one.`);
    return address;
  }

  async view(): Promise<ShopView> {
    const { address, body } = await this.ask('GET', '/orders', 200);
    return { address, orders: ordersSchema.parse(JSON.parse(body)).map(({ item }) => item) };
  }

  /** Places an order; the shop answers when its database has written it to its disk. */
  async order(item: string): Promise<void> {
    await this.ask('POST', '/orders', 201, JSON.stringify({ item }));
  }

  /**
   * Waits until the page answers and, behind it, the database.
   * @throws with the last answer, where that does not happen in time
   */
  async untilHealthy(seconds: number): Promise<void> {
    await untilAnswering(SHOP_NAME, seconds, () => this.ask('GET', '/health', 200));
  }

  private async ask(method: 'GET' | 'POST', path: string, expected: number, sent?: string) {
    const address = await this.address();
    const answer = await request(`http://${address}${path}`, {
      method,
      headers: { host: SHOP_NAME },
      body: sent ?? null,
      signal: AbortSignal.timeout(REQUEST_SECONDS * 1000),
    });
    const body = await answer.body.text();
    if (answer.statusCode !== expected)
      throw new Error(
        `http://${SHOP_NAME}${path} at ${address} answered ${answer.statusCode}: ${body.slice(0, 200)}`,
      );
    return { address, body };
  }
}
