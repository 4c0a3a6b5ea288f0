/** Whether the host of a URL is this machine itself: what is said to it leaves by no wire. @param hostname as `URL` gives it */
export const isLoopbackHost = (hostname: string): boolean =>
  /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/.test(hostname);
