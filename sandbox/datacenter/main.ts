import { readSettings } from '../../hypervisor/local';
import { publishedAddresses } from './published';

/** Keeps the data centre's published addresses: node main.js <directory of the data centre> */
async function main(directory: string | undefined): Promise<void> {
  const settings = directory === undefined ? undefined : await readSettings(directory);
  if (!settings) throw new Error('Usage: main <directory of a data centre>');
  const published = await publishedAddresses(settings);
  console.log(`published 127.${settings.loopbackOctet}.10.0/24`);
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, () => void published.close().then(() => process.exit(0)));
  }
}

main(process.argv[2]).catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
