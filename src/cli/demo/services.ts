import { clusterClient } from '../../lab/cluster/cluster-up.ts'
import type { DemoContext } from './demo-context.ts'
import { showAffinity } from './service-affinity.ts'
import { showConnection } from './service-connection.ts'
import { showEnding } from './service-ending.ts'
import { showNodePort } from './service-node-port.ts'
import { showSpread } from './service-spread.ts'
import { openService } from './service-stage.ts'

/** A service with a backend on every node, translated by the agents themselves: no kube-proxy is here. */
export async function showServices(context: DemoContext): Promise<void> {
  const { lab, screen, checks, signal } = context
  if (lab.cluster?.settings.services !== true) {
    screen.line('\nThis lab’s agents leave services alone (cluster.services: false), so none is shown.')
    return
  }
  const client = clusterClient(lab.name)
  try {
    const stage = await openService(context, client)
    if (stage === undefined) {
      checks.claim('the agents serve a service on every node', false)
      return
    }
    await showSpread(stage)
    await showConnection(stage)
    signal.throwIfAborted()
    const choices = await showAffinity(stage)
    const ended = await showEnding(stage, choices)
    if (ended !== undefined) await showNodePort(stage, ended)
  } finally {
    client.close()
  }
}
