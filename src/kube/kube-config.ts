import { KubeConfig } from '@kubernetes/client-node'
import { err, ok, type Result } from '../base/result.ts'

export type KubeConfigSource =
  /** A kubeconfig file; `context` in place of its current one. */
  | { readonly kind: 'file'; readonly path: string; readonly context?: string }
  /** The service account of the pod that this process runs in. */
  | { readonly kind: 'inCluster' }

/** Credentials are not tried here; an error says what in the configuration is wrong. */
export function loadKubeConfig(source: KubeConfigSource): Result<KubeConfig, string> {
  const config = new KubeConfig()
  try {
    if (source.kind === 'inCluster') config.loadFromCluster()
    else config.loadFromFile(source.path)
  } catch (error) {
    return err(`${sourceName(source)} could not be read: ${error instanceof Error ? error.message : String(error)}`)
  }
  if (source.kind === 'file' && source.context !== undefined) config.setCurrentContext(source.context)
  const problem = checkKubeConfig(config)
  return problem === undefined ? ok(config) : err(`${sourceName(source)}: ${problem}`)
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

function sourceName(source: KubeConfigSource): string {
  return source.kind === 'file' ? `kubeconfig ${source.path}` : 'the in-cluster configuration'
}
