import { type Tag } from '@aws-sdk/client-ec2';
import { type CheckedSite, checkTags } from '../site';
import { type Questions } from '../questions';

/** What was made, for its removal and its price. */
export interface Made {
  kind: 'snapshot' | 'volume' | 'image';
  id: string;
  gib: number;
  /** Milliseconds since 1970. */
  at: number;
}

/** One run with things that are made for it. */
export interface Trial {
  /** `c-` and 12 hex digits. */
  id: string;
  questions: Questions;
  clients: CheckedSite['clients'];
  tags: (Tag & { Key: string; Value: string })[];
  /** Notes what a call has made, as soon as it has answered. What a lost answer was about is found by its tag. */
  make: <Output extends object>(kind: Made['kind'], gib: number, call: Promise<Output>) => Promise<Output>;
  made: Map<string, Made>;
}

const ID_FIELDS = { snapshot: 'SnapshotId', volume: 'VolumeId', image: 'ImageId' } as const;

export function startTrial(id: string, questions: Questions, clients: CheckedSite['clients']): Trial {
  const made = new Map<string, Made>();
  return {
    id,
    questions,
    clients,
    tags: checkTags(id),
    made,
    async make(kind, gib, call) {
      const output = await call;
      const madeId = (output as Record<string, unknown>)[ID_FIELDS[kind]];
      // A token that was used again answers with what is there already.
      if (typeof madeId === 'string' && !made.has(madeId))
        made.set(madeId, { kind, id: madeId, gib, at: Date.now() });
      return output;
    },
  };
}
