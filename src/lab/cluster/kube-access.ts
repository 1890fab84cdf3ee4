import { writeFileSync } from 'node:fs'
import type { KubeConfig } from '@kubernetes/client-node'
import * as z from 'zod'
import type { Logger } from '../../base/logger.ts'
import { type Result, unwrap } from '../../base/result.ts'
import { parseWith } from '../../base/schema.ts'
import type { ApiClient } from '../../kube/api-client.ts'
import { createApiClient } from '../../kube/http-api-client.ts'
import { loadKubeConfig } from '../../kube/kube-config.ts'
import { KubeApiServer } from '../kube-api/server.ts'
import type { ClusterPaths } from '../cluster-paths.ts'
import { nodeApiPort } from './node-services.ts'

/** The Kubernetes API of a lab: its own small one, or one that was there before. */
export interface KubeAccess {
  readonly client: ApiClient
  readonly url: string
  /** Where it is reached from this machine's namespace. */
  readonly target: { readonly host: string; readonly port: number }
  /** Present: the small one; then the lab also schedules and runs pods. */
  readonly server: KubeApiServer | undefined
}

export interface KubeAccessOptions {
  readonly paths: ClusterPaths
  readonly existingKubeconfig: string | undefined
  readonly logger: Logger
}

/** Starts the small API server unless another is named, and writes the lab's kubeconfigs: for this machine and for nodes. */
export async function openKubeAccess(options: KubeAccessOptions): Promise<KubeAccess & AsyncDisposable> {
  const { paths, existingKubeconfig, logger } = options
  await using stack = new AsyncDisposableStack()
  const server = existingKubeconfig === undefined ? stack.use(await startServer(logger)) : undefined
  if (server !== undefined) writeFileSync(paths.kubeconfig, server.kubeconfig(), { mode: 0o600 })
  const config = unwrap(loadKubeConfig({ kind: 'file', path: existingKubeconfig ?? paths.kubeconfig }))
  if (existingKubeconfig !== undefined) writeFileSync(paths.kubeconfig, config.exportConfig(), { mode: 0o600 })
  writeFileSync(paths.nodeKubeconfig, unwrap(renderNodeKubeconfig(config)), { mode: 0o600 })
  const client = createApiClient(config, { userAgent: 'vcn-lab-cluster' })
  stack.defer(() => client.close())
  const url = config.getCurrentCluster()?.server ?? ''
  const kept = stack.move()
  return { client, url, target: targetOf(url), server, [Symbol.asyncDispose]: () => kept.disposeAsync() }
}

function startServer(logger: Logger): Promise<KubeApiServer> {
  return KubeApiServer.start({ tls: true, log: logger })
}

export function targetOf(url: string): { readonly host: string; readonly port: number } {
  const { hostname, port, protocol } = new URL(url)
  const host = hostname.replace(/^\[(.*)\]$/, '$1')
  return { host, port: port === '' ? (protocol === 'http:' ? 80 : 443) : Number(port) }
}

const configSchema = z.looseObject({
  clusters: z.array(z.looseObject({ name: z.string(), cluster: z.looseObject({ server: z.string() }) })),
})

/**
 * The same access through the forwarder that every node has at 127.0.0.1: the certificate is still the server's own, so
 * its name is said apart from the address.
 */
export function renderNodeKubeconfig(config: KubeConfig): Result<string, readonly unknown[]> {
  const current = config.getCurrentCluster()?.name
  const parsed = parseWith(configSchema, JSON.parse(config.exportConfig()))
  if (!parsed.ok) return parsed
  const clusters = parsed.value.clusters.map((entry) => {
    if (entry.name !== current) return entry
    const original = new URL(entry.cluster.server)
    const server = `${original.protocol}//127.0.0.1:${nodeApiPort}${original.pathname.replace(/\/$/, '')}`
    const isRenamed = original.protocol === 'https:' && original.hostname !== '127.0.0.1'
    const name = isRenamed ? { 'tls-server-name': targetOf(entry.cluster.server).host } : {}
    return { ...entry, cluster: { ...name, ...entry.cluster, server } }
  })
  return { ok: true, value: `${JSON.stringify({ ...parsed.value, clusters }, null, 2)}\n` }
}
