import { isDeepStrictEqual } from 'node:util';
import { setTimeout as sleep } from 'node:timers/promises';
import { type ShopClient, type ShopView } from './shop-client';
import { prove } from './steps';

/** @throws Error where the shop's name leads elsewhere, or the shop has not exactly these orders */
export async function expectShop(shop: ShopClient, address: string, orders: string[]): Promise<ShopView> {
  const view = await shop.view();
  prove(view.address === address, `the application's name leads to ${view.address}, not to ${address}.`);
  prove(
    isDeepStrictEqual(view.orders, orders),
    `the application lists the orders ${JSON.stringify(view.orders)}, not ${JSON.stringify(orders)}.`,
  );
  return view;
}

/** Milliseconds between two questions of a watcher: often enough to see an outage, rare against what else runs. */
const WATCH_INTERVAL_MS = 3000;

/** Asks the shop again and again, until it is stopped. */
export function watchShop(shop: ShopClient): { stop(): Promise<void>; views(): ShopView[] } {
  const views: ShopView[] = [];
  let failure: unknown;
  const stopped = new AbortController();
  const watching = (async () => {
    while (!stopped.signal.aborted) {
      try {
        views.push(await shop.view());
      } catch (error) {
        failure ??= error;
      }
      await sleep(WATCH_INTERVAL_MS, undefined, { signal: stopped.signal }).catch(() => {});
    }
  })();
  return {
    async stop() {
      stopped.abort();
      await watching;
    },
    /** @throws what the first question met that was not answered */
    views() {
      if (failure !== undefined) throw failure;
      return views;
    },
  };
}
