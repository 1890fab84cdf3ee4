import { createApiClient } from '../../kube/http-api-client.ts'
import { loadKubeConfig } from '../../kube/kube-config.ts'
import { nodes } from '../../kube/resources.ts'
import { labLabel } from './node-objects.ts'

const timeoutMs = 5000

/**
 * Takes the lab's nodes out of a Kubernetes API that stays. As far as it can: an API that does not answer, or a lab whose
 * files are damaged, must not keep the rest from being removed.
 */
export async function leaveCluster(name: string, kubeconfig: string): Promise<void> {
  const config = loadKubeConfig({ kind: 'file', path: kubeconfig })
  if (!config.ok) return
  const client = createApiClient(config.value, { userAgent: 'vcnctl-lab', requestTimeoutMs: timeoutMs })
  const signal = AbortSignal.timeout(timeoutMs)
  try {
    const listed = await client.list(nodes, { labelSelector: `${labLabel}=${name}` }, signal)
    if (!listed.ok) return
    for (const { metadata } of listed.value.items) await client.delete(nodes, { name: metadata.name }, {}, signal)
  } catch (error) {
    if (!signal.aborted) throw error
  } finally {
    client.close()
  }
}
