import { z } from 'zod';
import { planFileSchema, type DrPlan } from './schema';

const plannedBootScript = z
  .object({
    // The name becomes a file name in the guest and on the proxy: a single path part that hides nothing.
    name: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/, 'must be a plain file name'),
    sha256: z.string().regex(/^[0-9a-f]{64}$/, 'must be a SHA-256 in lower-case hex'),
    timeout: z.number().int().positive().optional(),
    required: z.boolean().optional(),
  })
  .strict();

/**
 * Checks a {@link DrPlan} that comes from outside the process: the repository bucket, or a workflow's argument.
 * It differs from the schema of the plan file in the boot scripts only, which are references here.
 */
export const normalizedPlanSchema: z.ZodType<DrPlan> = planFileSchema.extend({
  vms: z.array(planFileSchema.shape.vms.element.extend({ bootScript: plannedBootScript.optional() })).min(1),
});
