import { type Html } from './html';
import { type PageOf } from './page-of';
import { section, table } from './tables';

export const deviationsSection = ({ deviations }: PageOf): Html =>
  section(
    'Deviations and failures',
    table(
      ['at', 'VM', 'what', 'cause'],
      deviations.map(({ at, vm, what, cause }) => [at ?? '', vm ?? '', what, cause ?? '']),
      'None: every step came to a good end at its first try, and no objective was missed.',
    ),
  );
