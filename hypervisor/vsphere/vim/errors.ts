import { withoutSecrets } from '../../../host/secrets';

/** No answer came: the server was not reached, or the connection ended. What was asked for may have been done all the same. */
export class VimConnectionError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'VimConnectionError';
  }
}

/** What came is no answer of a vCenter, or one that cannot be read; its text may be quoted. */
export class VimAnswerError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(withoutSecrets(message), options);
    this.name = 'VimAnswerError';
  }
}

/** A request that the schema does not allow: a mistake of the caller, and nothing was sent. */
export class VimRequestError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'VimRequestError';
  }
}

/** What was waited for has not come within its time. */
export class VimTimeoutError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'VimTimeoutError';
  }
}
