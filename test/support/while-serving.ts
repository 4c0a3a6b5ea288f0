import { createServer, type RequestListener } from 'node:http';
import { type AddressInfo } from 'node:net';

/** Works while a server answers that is there for that alone. @param work gets its address and port, as `127.0.0.1:8080` */
export async function whileServing(
  answer: RequestListener,
  work: (address: string) => Promise<void>,
): Promise<void> {
  const server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    await work(`127.0.0.1:${(server.address() as AddressInfo).port}`);
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}
