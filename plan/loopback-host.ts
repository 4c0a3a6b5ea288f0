/** Whether a host is this machine itself: what is said to it leaves by no wire. @param host with or without the brackets of IPv6 */
export const isLoopbackHost = (host: string): boolean =>
  /^(localhost|127(\.\d{1,3}){3}|::1|\[::1\])$/.test(host);
