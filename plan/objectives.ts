/** An objective of the plan against what was measured, both in seconds. */
export interface MeasuredObjective {
  objective: number;
  measured: number;
  met: boolean;
}

/** The plan's objectives that a run was measured against. */
export interface MeasuredObjectives {
  rpo?: MeasuredObjective;
  rto?: MeasuredObjective;
}

/** @returns undefined where the plan has no objectives */
export function measured(
  { rpo, rto }: { rpo?: number | undefined; rto?: number | undefined } = {},
  { rpoSeconds, rtoSeconds }: { rpoSeconds: number; rtoSeconds: number },
): MeasuredObjectives | undefined {
  const of = (objective: number, is: number): MeasuredObjective => ({
    ...{ objective, measured: is, met: is <= objective },
  });
  if (rpo === undefined && rto === undefined) return undefined;
  return {
    ...(rpo === undefined ? {} : { rpo: of(rpo, rpoSeconds) }),
    ...(rto === undefined ? {} : { rto: of(rto, rtoSeconds) }),
  };
}
