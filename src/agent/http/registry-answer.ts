import type { RequestListener } from 'node:http'
import type Registry from 'prom-client/lib/registry.js'

/** `/metrics` of a registry, and nothing else. */
export function registryAnswer(registry: Registry): RequestListener {
  return ({ url }, response) => {
    if (url?.split('?')[0] !== '/metrics') {
      response.writeHead(404).end()
      return
    }
    registry.metrics().then(
      (text) => response.writeHead(200, { 'Content-Type': registry.contentType }).end(text),
      (error: unknown) => response.writeHead(500).end(`${String(error)}\n`),
    )
  }
}
