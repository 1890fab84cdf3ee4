/** Durations of one kind of operation, in milliseconds. */
export interface Summary {
  readonly count: number
  readonly medianMs: number
  readonly p99Ms: number
}

export function summarise(samplesMs: readonly number[]): Summary {
  return { count: samplesMs.length, medianMs: median(samplesMs), p99Ms: quantile(samplesMs, 0.99) }
}

export function median(samples: readonly number[]): number {
  return quantile(samples, 0.5)
}

/** Interpolates linearly between the two nearest samples. Throws without samples: something was not measured. */
export function quantile(samples: readonly number[], fraction: number): number {
  const sorted = samples.toSorted((a, b) => a - b)
  const position = (sorted.length - 1) * fraction
  const below = sorted[Math.floor(position)]
  const above = sorted[Math.ceil(position)]
  if (below === undefined || above === undefined) throw new Error('a quantile of no samples')
  return below + (above - below) * (position - Math.floor(position))
}

export function round(value: number, digits: number): number {
  return Number(value.toFixed(digits))
}
