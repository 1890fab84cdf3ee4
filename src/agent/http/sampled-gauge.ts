import Gauge from 'prom-client/lib/gauge.js'
import type Registry from 'prom-client/lib/registry.js'

export type Sample = readonly [labels: Readonly<Record<string, string>>, value: number | undefined]

export interface SampledGauge {
  readonly name: string
  readonly help: string
  readonly labelNames?: readonly string[]
  /** Those without a value are left out. */
  readonly read: () => readonly Sample[]
}

/** A gauge that is read when somebody asks for the metrics. */
export function addGauge(registry: Registry, { name, help, labelNames = [], read }: SampledGauge): void {
  const made: Gauge = new Gauge({
    name,
    help,
    labelNames: [...labelNames],
    registers: [registry],
    collect: () => {
      for (const [labels, value] of read()) if (value !== undefined) made.set({ ...labels }, value)
    },
  })
}
