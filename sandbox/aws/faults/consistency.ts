import { AwsError } from '../wire/errors';

/** What EC2 answers to a call that names what it does not know (EC2 API Reference, error codes), by the id's prefix. */
const NOT_FOUND: Record<string, string> = {
  vol: 'InvalidVolume.NotFound',
  snap: 'InvalidSnapshot.NotFound',
  i: 'InvalidInstanceID.NotFound',
  ami: 'InvalidAMIID.NotFound',
  replacevol: 'InvalidReplaceRootVolumeTaskId.NotFound',
};

const ID = /\b(vol|snap|ami|i|replacevol)-[0-9a-f]{17}\b/g;

/** Calls that make something, whose answers have its id. */
const CREATES =
  /^(Create(Volume|Snapshot|Snapshots|Image|ReplaceRootVolumeTask)|RunInstances|RegisterImage|StartSnapshot)$/;

/** When what exists was made, as far as this process saw it. */
export class Creations {
  private readonly madeAt = new Map<string, number>();

  /** Notes what a call has made. */
  note(operation: string, output: object): void {
    if (!CREATES.test(operation)) return;
    for (const [id] of JSON.stringify(output).matchAll(ID))
      if (!this.madeAt.has(id)) this.madeAt.set(id, Date.now());
  }

  private isNew(id: string, seconds: number): boolean {
    return Date.now() - (this.madeAt.get(id) ?? 0) < seconds * 1000;
  }

  /** The id that a call names and that is not known everywhere yet. A filter names none: it finds what there is. */
  newIdIn(operation: string, input: object, seconds: number): string | undefined {
    if (CREATES.test(operation)) return undefined;
    for (const [id] of JSON.stringify({ ...input, Filters: undefined }).matchAll(ID))
      if (this.isNew(id, seconds)) return id;
    return undefined;
  }

  /** A list's answer without what is too new for it. */
  without(output: object, seconds: number): object {
    return Object.fromEntries(
      Object.entries(output).map(([name, value]) => [
        name,
        Array.isArray(value)
          ? value.filter((one: unknown) => {
              const [id] = JSON.stringify(one).match(ID) ?? [];
              return id === undefined || !this.isNew(id, seconds);
            })
          : (value as unknown),
      ]),
    );
  }
}

/** As the service says that it does not know an id. */
export function notThereYet(service: string, id: string): AwsError {
  if (service === 'ebs')
    return new AwsError('ResourceNotFoundException', `The snapshot '${id}' does not exist.`, 404, {
      Reason: 'SNAPSHOT_NOT_FOUND',
    });
  return new AwsError(NOT_FOUND[id.split('-')[0] ?? ''] ?? 'InvalidID', `The ID '${id}' does not exist`, 400);
}
