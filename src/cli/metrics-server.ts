import fastify from 'fastify'
import type { Registry } from 'prom-client'

export interface MetricsServerOptions {
  readonly host: string
  readonly port: number
  readonly registry: Registry
  /** What is wrong, in words; empty: nothing. */
  readonly problems: () => readonly string[]
}

/** `/metrics` for Prometheus, `/healthz` and `/readyz` for kubelet's probes. */
export async function serveMetrics(options: MetricsServerOptions): Promise<AsyncDisposable & { readonly url: string }> {
  const { host, port, registry, problems } = options
  const app = fastify({ forceCloseConnections: true })
  app.get('/metrics', async (_request, reply) => {
    return reply.type(registry.contentType).send(await registry.metrics())
  })
  // Alive is who answers: a restart would not help against what an API server or the cloud refuses.
  app.get('/healthz', () => 'ok\n')
  app.get('/readyz', (_request, reply) => {
    const found = problems()
    return found.length === 0 ? reply.send('ok\n') : reply.code(503).send(`${found.join('\n')}\n`)
  })
  const url = await app.listen({ host, port })
  return { url, [Symbol.asyncDispose]: () => app.close() }
}
