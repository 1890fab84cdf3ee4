import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import * as z from 'zod'
import { type Result, unwrap } from '../../base/result.ts'
import { parseWith } from '../../base/schema.ts'
import type { ApiClient } from '../../kube/api-client.ts'
import { clusterPods } from '../../lab/cluster/cluster-pod.ts'
import { podManifest, waitForSet } from '../../lab/cluster/pod-sets.ts'
import { askWebServer, type WebReply } from '../../lab/cluster/web-client.ts'
import { clusterPaths } from '../../lab/cluster-paths.ts'
import { injectionAnnotation } from '../../lab/kube-api/sidecar-injection.ts'
import { listPods } from '../../lab/lab-store.ts'
import { CliError } from '../cli-error.ts'
import { type DemoContext, type DemoPod, nodeNetnsOf } from './demo-context.ts'
import { until } from './service-stage.ts'
import { Tcpdump } from './tcpdump.ts'

export interface MeshStage {
  readonly context: DemoContext
  readonly client: ApiClient
  /** On two nodes, each with a sidecar. */
  readonly from: DemoPod
  readonly to: DemoPod
  /** Beside `to`, without one. */
  readonly bare: DemoPod
}

export const meshPort = 8080
const podsTimeoutMs = 30_000
/** Captured packets have to come through a pipe. */
const settleMs = 150

export async function openMeshStage(context: DemoContext, client: ApiClient): Promise<MeshStage> {
  const [first, second] = context.lab.nodes.map(({ name }) => name)
  if (first === undefined || second === undefined) throw new CliError('this act needs two nodes')
  const sidecar = { [injectionAnnotation]: 'istio' }
  const meshed = { name: 'meshed', replicas: 2, port: meshPort }
  const bare = { name: 'bare', replicas: 1, port: meshPort }
  const wanted = [
    { set: meshed, name: 'meshed-1', node: first, annotations: sidecar },
    { set: meshed, name: 'meshed-2', node: second, annotations: sidecar },
    { set: bare, name: 'bare-1', node: second, annotations: {} },
  ]
  for (const { set, name, node, annotations } of wanted) {
    const manifest = podManifest(set, name, node)
    const metadata = { ...manifest.metadata, annotations }
    unwrap(await client.create(clusterPods, { ...manifest, metadata }, context.signal))
  }
  for (const set of [meshed, bare]) {
    const ready = await waitForSet(client, { ...set, timeoutMs: podsTimeoutMs }, context.signal)
    if (!ready.ok) throw new CliError(ready.error)
  }
  const known = listPods(context.lab.name)
  const [from, to, plain] = wanted.map(({ name }): DemoPod => {
    const pod = known.find((one) => one.name === name)
    if (pod?.address === undefined) throw new CliError(`pod ${name} has no address`)
    return { ...pod, address: pod.address }
  })
  if (from === undefined || to === undefined || plain === undefined) throw new Error('three pods were wanted')
  return { context, client, from, to, bare: plain }
}

/** Asks a web server, and what of it could be read between the two nodes. */
export async function askUnderSurveillance(
  { lab, signal }: DemoContext,
  from: DemoPod,
  to: DemoPod,
): Promise<{ readonly reply: Result<WebReply, string>; readonly wire: string }> {
  // The node's own namespace: what has left the pod is as the VCN sees it.
  const tcpdump = new Tcpdump(nodeNetnsOf(lab, from.node), ['-A', '-q', '-t'], `tcp and host ${to.address}`)
  try {
    await tcpdump.ready(signal)
    const reply = await askWebServer(from.netns, { address: to.address, port: meshPort }, signal)
    await sleep(settleMs, undefined, { signal })
    return { reply, wire: await tcpdump.stop() }
  } finally {
    tcpdump.kill()
  }
}

/** A line of a sidecar's log. */
const lineSchema = z.object({
  direction: z.enum(['inbound', 'outbound']),
  source: z.string(),
  originalDestination: z.string(),
  upstream: z.string().optional(),
  peer: z.string().optional(),
  outcome: z.string(),
})
export type LoggedConnection = z.infer<typeof lineSchema>

/** The newest connection of the direction in the log of a pod's sidecar, once there is one to that port of `to`. */
export function logged(
  { context: { lab, signal } }: MeshStage,
  pod: DemoPod,
  direction: LoggedConnection['direction'],
  to: DemoPod,
): Promise<LoggedConnection | undefined> {
  const file = `${clusterPaths(lab.name).podLogs}/default_${pod.name}_istio-proxy.log`
  return until(signal, () => {
    const lines = readFileSync(file, 'utf8').trim().split('\n')
    const records = lines.flatMap((line) => {
      if (!line.startsWith('{')) return []
      const parsed = parseWith(lineSchema, JSON.parse(line))
      return parsed.ok ? [parsed.value] : []
    })
    const destination = `${to.address}:${meshPort}`
    return Promise.resolve(
      records.findLast(
        (one) => one.direction === direction && one.originalDestination === destination && one.peer !== undefined,
      ),
    )
  })
}
