import { isLoopbackHost } from './loopback-host';

/** Why a hook may not ask that URL; undefined where it may. */
export function hookUrlProblem(text: string): string | undefined {
  const url = URL.parse(text);
  if (url === null) return 'must be a URL such as https://hooks.example/lifeboat';
  if (url.username !== '' || url.password !== '')
    return 'must not hold a user or password: the plan lies in the repository, for whoever may read that';
  if (url.protocol === 'https:') return undefined;
  if (url.protocol === 'http:' && isLoopbackHost(url.hostname)) return undefined;
  return 'must be https://; http:// only to the proxy itself (localhost, 127.0.0.1)';
}
