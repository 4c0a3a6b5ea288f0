import { type Evidence } from '../../../../repository/evidence/document';

/** A document whose page is being made. */
export type PageOf = Omit<Evidence, 'page'>;
