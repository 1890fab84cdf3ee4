import type { RequestListener } from 'node:http'
import { registryAnswer } from '../http/registry-answer.ts'
import type { ProxyFigures, ProxyObserver } from './proxy-observer.ts'
import { proxyMetrics } from './proxy-metrics.ts'

export interface CountingObserver {
  readonly observer: ProxyObserver
  readonly answer: RequestListener
}

/** `/metrics` of a service proxy. Not imported before it is asked for: most agents need no metrics library. */
export function countAndAnswer(figures: () => ProxyFigures): CountingObserver {
  const { registry, ...observer } = proxyMetrics(figures)
  return { observer, answer: registryAnswer(registry) }
}
