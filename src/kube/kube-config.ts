import type { OutgoingHttpHeaders } from 'node:http'
import type https from 'node:https'
import { KubeConfig } from '@kubernetes/client-node'
import { err, ok, type Result } from '../base/result.ts'
import type { ApiAccess, ApiCredentials } from './api-access.ts'
import { messageOf } from './http-transport.ts'

export type KubeConfigSource =
  /** A kubeconfig file; `context` in place of its current one. */
  | { readonly kind: 'file'; readonly path: string; readonly context?: string }
  /** The service account of the pod that this process runs in. */
  | { readonly kind: 'inCluster' }

/**
 * Whatever kubeconfigs can say, exec plugins and proxies included, through client-node: 130 MB of memory. The agent
 * uses kubeconfig-access.ts and in-cluster-access.ts instead. Credentials are not tried here; an error says what in the
 * configuration is wrong.
 */
export function loadKubeConfig(source: KubeConfigSource): Result<KubeConfigAccess, string> {
  const config = new KubeConfigAccess()
  if (source.kind === 'inCluster' && process.env['KUBERNETES_SERVICE_HOST'] === undefined) {
    return err('not in a pod (KUBERNETES_SERVICE_HOST is not set): name a kubeconfig, as with --kubeconfig FILE')
  }
  try {
    if (source.kind === 'inCluster') config.loadFromCluster()
    else config.loadFromFile(source.path)
  } catch (error) {
    return err(`${sourceName(source)} could not be read: ${messageOf(error)}`)
  }
  if (source.kind === 'file' && source.context !== undefined) config.setCurrentContext(source.context)
  const problem = checkKubeConfig(config)
  return problem === undefined ? ok(config) : err(`${sourceName(source)}: ${problem}`)
}

/** A kubeconfig whose current context can be asked for access. */
export class KubeConfigAccess extends KubeConfig implements ApiAccess {
  get server(): URL {
    const cluster = this.getCurrentCluster()
    if (cluster === null) throw new Error('the kubeconfig has no current cluster; load it with loadKubeConfig')
    return new URL(cluster.server)
  }

  async credentials(): Promise<Result<ApiCredentials, string>> {
    const options: https.RequestOptions = { headers: {} }
    try {
      // Asked every time: tokens of service accounts and of exec plugins expire. client-node caches what it may.
      await this.applyToHTTPSOptions(options)
    } catch (error) {
      return err(messageOf(error))
    }
    return ok(credentialsOf(options, this.getCurrentCluster()?.proxyUrl !== undefined))
  }
}

/** What would make every request fail, or nothing. */
export function checkKubeConfig(config: KubeConfig): string | undefined {
  const context = JSON.stringify(config.getCurrentContext())
  const cluster = config.getCurrentCluster()
  if (cluster === null) return `the current context, ${context}, names no cluster`
  // Without one, client-node leaves out the cluster's certificate authority, too.
  if (config.getCurrentUser() === null) return `the current context, ${context}, names no user`
  if (!URL.canParse(cluster.server)) return `server ${JSON.stringify(cluster.server)} is not a URL`
  const { protocol } = new URL(cluster.server)
  if (protocol === 'https:') return undefined
  if (protocol !== 'http:') return `server ${cluster.server} is neither https nor http`
  // client-node refuses to send credentials in clear text unless told that nobody minds.
  return cluster.skipTLSVerify
    ? undefined
    : `server ${cluster.server} is plain http; set insecure-skip-tls-verify: true`
}

function credentialsOf({ headers, agent, ...options }: https.RequestOptions, isProxied: boolean): ApiCredentials {
  // client-node's agent opens a connection a request; only a proxied one is more than that.
  const proxyAgent = isProxied && agent !== undefined ? { proxyAgent: agent } : {}
  return { headers: definedHeaders(headers), options, ...proxyAgent }
}

function definedHeaders(headers: https.RequestOptions['headers']): OutgoingHttpHeaders {
  if (headers === undefined || Array.isArray(headers)) return {}
  return { ...(headers as OutgoingHttpHeaders) }
}

function sourceName(source: KubeConfigSource): string {
  return source.kind === 'file' ? `kubeconfig ${source.path}` : 'the in-cluster configuration'
}
