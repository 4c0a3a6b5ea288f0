import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import * as dnsPacket from 'dns-packet';
import { type DnsZone, resolve } from './zone';

export interface RunningDnsServer {
  host: string;
  port: number;
  close(): Promise<void>;
}

/** Longest answer by UDP to a client that says nothing about it (RFC 1035). */
const PLAIN_UDP_LIMIT = 512;
/** Longest that we send by UDP, whatever a client offers (RFC 9715). */
const UDP_LIMIT = 1232;
/** A TCP client that sends nothing is let go; milliseconds. */
const TCP_IDLE = 10_000;

const RCODES = { NOERROR: 0, FORMERR: 1, NXDOMAIN: 3, NOTIMP: 4, REFUSED: 5 };

/** Answers for zones over UDP and TCP on one port; port 0 chooses a free one. */
export async function startDnsServer(
  listen: { host: string; port: number },
  zones: () => readonly DnsZone[],
  log: (message: string, error: unknown) => void,
): Promise<RunningDnsServer> {
  const connections = new Set<Socket>();
  const tcp = createServer((socket) => {
    connections.add(socket);
    socket.on('close', () => connections.delete(socket));
    serveTcp(socket, zones);
  });
  await listenTcp(tcp, listen);
  const { port } = tcp.address() as AddressInfo;
  const udp = createSocket('udp4');
  udp.on('message', (message, sender) => {
    const reply = answerUdp(message, zones);
    if (reply !== undefined)
      udp.send(
        reply,
        sender.port,
        sender.address,
        (error) => error && log('a DNS answer could not be sent', error),
      );
  });
  await bindUdp(udp, listen.host, port);
  udp.on('error', (error) => log('the DNS socket failed', error));
  return {
    host: listen.host,
    port,
    async close() {
      for (const socket of connections) socket.destroy();
      await Promise.all([
        new Promise<void>((done) => tcp.close(() => done())),
        new Promise<void>((done) => udp.close(() => done())),
      ]);
    },
  };
}

function listenTcp(server: Server, { host, port }: { host: string; port: number }): Promise<void> {
  return new Promise((resolve_, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => resolve_());
  });
}

function bindUdp(socket: UdpSocket, host: string, port: number): Promise<void> {
  return new Promise((resolve_, reject) => {
    socket.once('error', reject);
    socket.bind(port, host, () => {
      socket.off('error', reject);
      resolve_();
    });
  });
}

function serveTcp(socket: Socket, zones: () => readonly DnsZone[]): void {
  let received = Buffer.alloc(0);
  socket.setTimeout(TCP_IDLE, () => socket.destroy());
  // A client that goes away in the middle is its own business.
  socket.on('error', () => socket.destroy());
  socket.on('data', (chunk: Buffer) => {
    received = Buffer.concat([received, chunk]);
    while (received.length >= 2) {
      const length = received.readUInt16BE(0);
      if (received.length < 2 + length) return;
      const { reply } = answer(received.subarray(2, 2 + length), zones) ?? {};
      received = received.subarray(2 + length);
      if (reply === undefined) return void socket.destroy();
      socket.write(dnsPacket.streamEncode(reply));
    }
  });
}

function answerUdp(message: Buffer, zones: () => readonly DnsZone[]): Buffer | undefined {
  const answered = answer(message, zones);
  if (answered === undefined) return undefined;
  const { reply, udpSize } = answered;
  const encoded = dnsPacket.encode(reply);
  if (encoded.length <= udpSize) return encoded;
  // Too long: the client asks again by TCP.
  return dnsPacket.encode({
    ...reply,
    flags: (reply.flags ?? 0) | dnsPacket.TRUNCATED_RESPONSE,
    answers: [],
    authorities: [],
  });
}

/** The reply to a query; undefined for what is none. */
function answer(
  message: Buffer,
  zones: () => readonly DnsZone[],
): { reply: dnsPacket.Packet; udpSize: number } | undefined {
  let query: dnsPacket.DecodedPacket;
  try {
    query = dnsPacket.decode(message);
  } catch {
    return undefined; // anything may arrive at a UDP port
  }
  if (query.type !== 'query') return undefined;
  const edns = query.additionals?.find((record): record is dnsPacket.OptAnswer => record.type === 'OPT');
  const udpSize =
    edns === undefined
      ? PLAIN_UDP_LIMIT
      : Math.min(Math.max(edns.udpPayloadSize, PLAIN_UDP_LIMIT), UDP_LIMIT);
  const recursionDesired = (query.flags ?? 0) & dnsPacket.RECURSION_DESIRED;
  const reply = (rcode: number, more: Partial<dnsPacket.Packet> = {}, flags = 0): dnsPacket.Packet => ({
    type: 'response',
    id: query.id,
    flags: flags | recursionDesired | rcode,
    questions: query.questions,
    additionals:
      edns === undefined
        ? []
        : [
            {
              type: 'OPT',
              name: '.',
              udpPayloadSize: UDP_LIMIT,
              flags: 0,
              options: [],
              extendedRcode: 0,
              ednsVersion: 0,
              flag_do: false,
            } as never,
          ],
    ...more,
  });
  if ((query as { opcode?: string }).opcode !== 'QUERY') return { reply: reply(RCODES.NOTIMP), udpSize };
  const [question, ...others] = query.questions ?? [];
  if (question === undefined || others.length > 0) return { reply: reply(RCODES.FORMERR), udpSize };
  if (question.class !== 'IN') return { reply: reply(RCODES.REFUSED), udpSize };
  const found = resolve(zones(), question);
  const flags = found.authoritative ? dnsPacket.AUTHORITATIVE_ANSWER : 0;
  return {
    reply: reply(RCODES[found.rcode], { answers: found.answers, authorities: found.authorities }, flags),
    udpSize,
  };
}
