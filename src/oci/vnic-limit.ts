import type { Instance, Shape } from './core-services.ts'

/** How many VNICs an instance takes, the primary one included; undefined when neither it nor its shape tells. */
export function vnicLimit(instance: Pick<Instance, 'shapeConfig'>, shape: Shape | undefined): number | undefined {
  const { maxVnicAttachments, ocpus } = instance.shapeConfig
  if (maxVnicAttachments !== undefined) return maxVnicAttachments
  if (shape === undefined) return undefined
  const { min, max, defaultPerOcpu } = shape.maxVnicAttachmentOptions ?? {}
  // On flexible shapes the number grows with the OCPUs, from 2 to 24 (Oracle's "Compute Shapes").
  if (defaultPerOcpu !== undefined && ocpus !== undefined) {
    const grown = Math.floor(defaultPerOcpu * ocpus)
    return Math.min(max ?? Infinity, Math.max(min ?? 1, grown))
  }
  return shape.maxVnicAttachments
}
