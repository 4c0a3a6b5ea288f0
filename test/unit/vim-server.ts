import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import { type IncomingMessage, type ServerResponse } from 'node:http';
import { type AddressInfo } from 'node:net';
import { join } from 'node:path';

/** A certificate and its key, made for one test file. */
export interface Certificate {
  certificate: string;
  key: string;
}

/** Makes a certificate that signs itself, for an address or a name ("IP:127.0.0.1"). */
export function makeCertificate(directory: string, name: string, subject: string): Certificate {
  const certificate = join(directory, `${name}.pem`);
  const key = join(directory, `${name}.key`);
  execFileSync(
    'openssl',
    [
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:prime256v1',
      '-noenc',
      '-days',
      '2',
    ].concat([
      ...[
        '-subj',
        `/CN=${name}`,
        '-addext',
        `subjectAltName=${subject}`,
        '-keyout',
        key,
        '-out',
        certificate,
      ],
    ]),
    { stdio: 'pipe' },
  );
  return { certificate, key };
}

const ENVELOPE = [
  '<?xml version="1.0" encoding="UTF-8"?><soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"',
  ' xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><soapenv:Body>',
].join('');

export const soap = (inner: string): string => `${ENVELOPE}${inner}</soapenv:Body></soapenv:Envelope>`;

/** An answer to a method. */
export const answered = (method: string, returned = ''): string =>
  soap(`<${method}Response xmlns="urn:vim25">${returned}</${method}Response>`);

/** A fault, as vCenter puts it. */
export const faulted = (type: string, message: string, fields = ''): string =>
  soap(
    `<soapenv:Fault><faultcode>ServerFaultCode</faultcode><faultstring>${message}</faultstring><detail>` +
      `<${type}Fault xmlns="urn:vim25" xsi:type="${type}">${fields}</${type}Fault></detail></soapenv:Fault>`,
  );

const CONTENT =
  '<returnval><rootFolder type="Folder">group-d1</rootFolder>' +
  '<propertyCollector type="PropertyCollector">propertyCollector</propertyCollector>' +
  '<viewManager type="ViewManager">ViewManager</viewManager>' +
  '<about><name>VMware vCenter Server</name><fullName>VMware vCenter Server 8.0.3</fullName><vendor>VMware, Inc.</vendor>' +
  '<version>8.0.3</version><build>1</build><osType>linux-x64</osType><productLineId>vpx</productLineId>' +
  '<apiType>VirtualCenter</apiType><apiVersion>8.0.3.0</apiVersion></about>' +
  '<sessionManager type="SessionManager">SessionManager</sessionManager></returnval>';

export interface Call {
  method: string;
  body: string;
  cookie: string | undefined;
  request: IncomingMessage;
}

/** What a method is answered: text, or anything else that is done with the response. */
export type Reply = string | ((call: Call, response: ServerResponse) => void | Promise<void>);

/** A server that answers as the test says: what no simulator does, a proxy in between or a hostile peer does. */
export class ScriptedVcenter {
  readonly calls: Call[] = [];
  /** Replies by method: one after the other, the last one for all that follow. */
  readonly replies = new Map<string, Reply[]>();
  #server: Server;
  #logins = 0;

  constructor({ certificate, key }: Certificate) {
    this.reset();
    this.#server = createServer(
      { cert: readFileSync(certificate), key: readFileSync(key) },
      (request, response) => {
        const parts: Buffer[] = [];
        request.on('data', (part: Buffer) => parts.push(part));
        request.on('end', () => void this.#answer(request, Buffer.concat(parts).toString(), response));
      },
    );
  }

  /** Forgets what was called, and answers logins only. */
  reset(): void {
    this.calls.length = 0;
    this.replies.clear();
    this.replies.set('RetrieveServiceContent', [answered('RetrieveServiceContent', CONTENT)]);
    this.replies.set('Login', [
      (_call, response) => {
        response.setHeader(
          'set-cookie',
          `vmware_soap_session="s${++this.#logins}"; Path=/; HttpOnly; Secure;`,
        );
        response.end(
          answered(
            'Login',
            '<returnval><key>k</key><userName>u</userName><fullName>u</fullName></returnval>',
          ),
        );
      },
    ]);
    this.replies.set('Logout', [answered('Logout')]);
  }

  /** Methods that were called, in their order. */
  get methods(): string[] {
    return this.calls.map(({ method }) => method);
  }

  async start(): Promise<string> {
    await new Promise<void>((listening) => this.#server.listen(0, '127.0.0.1', listening));
    return `https://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((closed) => this.#server.close(closed));
  }

  async #answer(request: IncomingMessage, body: string, response: ServerResponse): Promise<void> {
    const method = /<soapenv:Body><(\w+)/.exec(body)?.[1] ?? '';
    const call = { method, body, cookie: request.headers.cookie, request };
    this.calls.push(call);
    const replies = this.replies.get(method) ?? [faulted('NotSupported', `${method} is not scripted.`)];
    const reply = replies.length > 1 ? replies.shift()! : replies[0]!;
    if (typeof reply !== 'string') return reply(call, response);
    response
      .writeHead(reply.includes('<soapenv:Fault>') ? 500 : 200, { 'content-type': 'text/xml' })
      .end(reply);
  }
}
