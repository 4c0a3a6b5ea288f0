import { readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';

/**
 * Stands in for the relays (relay.ts) of a sandbox in which nothing boots: every address takes a connection and keeps
 * it open, but for those that a file names (`*` for all). So a VM is ready as soon as it is asked, or never.
 *
 * Program: node answering.js <socket> <file with a JSON list of addresses that do not answer>
 */
function main(): void {
  const [socket, silentFile] = process.argv.slice(2);
  if (socket === undefined || silentFile === undefined)
    throw new Error('usage: answering.js SOCKET FILE-OF-SILENT-ADDRESSES');
  const server = createServer((_request, response) => response.writeHead(405).end());
  server.on('connect', (request, client) => {
    client.on('error', () => client.destroy());
    const [address = ''] = (request.url ?? '').split(':');
    const silent = silentAddresses(silentFile);
    if (silent.includes(address) || silent.includes('*'))
      client.end('HTTP/1.1 504 It does not answer\r\nconnection: close\r\n\r\n');
    else client.write('HTTP/1.1 200 Connection established\r\n\r\n');
  });
  // Of a process that was killed.
  rmSync(socket, { force: true });
  server.listen(socket);
}

function silentAddresses(file: string): string[] {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as string[];
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

main();
