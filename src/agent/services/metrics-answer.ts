import type { RequestListener } from 'node:http'
import type { ProxyFigures, ProxyObserver } from './proxy-observer.ts'
import { proxyMetrics } from './proxy-metrics.ts'

export interface CountingObserver {
  readonly observer: ProxyObserver
  readonly answer: RequestListener
}

/** `/metrics` of a service proxy. Not imported before it is asked for: most agents need no metrics library. */
export function countAndAnswer(figures: () => ProxyFigures): CountingObserver {
  const { registry, ...observer } = proxyMetrics(figures)
  return {
    observer,
    answer: ({ url }, response) => {
      if (url?.split('?')[0] !== '/metrics') {
        response.writeHead(404).end()
        return
      }
      registry.metrics().then(
        (text) => response.writeHead(200, { 'Content-Type': registry.contentType }).end(text),
        (error: unknown) => response.writeHead(500).end(`${String(error)}\n`),
      )
    },
  }
}
