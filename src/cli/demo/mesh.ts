import { clusterClient } from '../../lab/cluster/cluster-up.ts'
import { clusterPods } from '../../lab/cluster/cluster-pod.ts'
import { identityOf } from '../../lab/sidecar/certificates.ts'
import { nodePaths } from '../../lab/names.ts'
import { unwrap } from '../../base/result.ts'
import { fetchMeshCheck } from '../agent-client.ts'
import { describeMeshCheck, meshProblems } from '../mesh/describe-check.ts'
import type { DemoContext } from './demo-context.ts'
import {
  askUnderSurveillance,
  logged,
  type LoggedConnection,
  meshPort,
  type MeshStage,
  openMeshStage,
} from './mesh-stage.ts'

const checkTimeoutMs = 10_000
/** Of what tcpdump prints: long enough to be recognised, short enough for a line. */
const shownLength = 76

/** Two pods with sidecars: plain for the applications, encrypted on the wire, and nobody had to be privileged for it. */
export async function showMesh(context: DemoContext): Promise<void> {
  const { lab, screen } = context
  if (lab.cluster?.settings.mesh !== true) {
    screen.line('\nThis lab’s agents do not redirect pods to sidecars (cluster.mesh), so no mesh is shown.')
    return
  }
  const client = clusterClient(lab.name)
  try {
    const stage = await openMeshStage(context, client)
    await showInstalled(stage)
    await showWire(stage)
    await showLogs(stage)
  } finally {
    client.close()
  }
}

async function showInstalled({ context, client, from, to }: MeshStage): Promise<void> {
  const { lab, screen, checks, signal } = context
  screen.heading(
    'Two pods of a service mesh',
    `${from.name} on ${from.node}, ${to.name} on ${to.node}: each got a sidecar, as from a mesh’s webhook. Plugin vcn-mesh leads their connections through it.`,
  )
  const manifests = await Promise.all(
    [from, to].map(({ name }) => client.get(clusterPods, { namespace: 'default', name }, signal)),
  )
  for (const pod of manifests.map(unwrap)) {
    const names = pod.containers.map(({ name, runAsUser }) =>
      runAsUser === undefined ? name : `${name} (uid ${runAsUser})`,
    )
    screen.line(`  ${pod.metadata.name}: containers ${names.join(', ')}; no init container, no capabilities asked for`)
  }
  screen.line(`\n  $ vcnctl mesh check ${from.name}`)
  const problems: string[] = []
  for (const { name, node } of [from, to]) {
    const socket = nodePaths(lab.name, node).socket
    const asked = AbortSignal.any([signal, AbortSignal.timeout(checkTimeoutMs)])
    const check = await fetchMeshCheck(socket, { namespace: 'default', name }, asked)
    if (name === from.name)
      for (const line of describeMeshCheck(check).trimEnd().split('\n')) screen.line(`    ${line}`)
    problems.push(...meshProblems(check))
  }
  checks.claim('both pods’ connections are led to their sidecars', problems.length === 0, problems.join('; '))
}

async function showWire({ context, from, to, bare }: MeshStage): Promise<void> {
  const { screen, checks } = context
  screen.heading(
    'The same request to two pods',
    `Of the first, ${bare.name}, the mesh knows that it has no sidecar. tcpdump on ${from.node} sees what leaves it.`,
  )
  const open = await askUnderSurveillance(context, from, bare)
  const closed = await askUnderSurveillance(context, from, to)
  const request = 'GET / HTTP/1.0'
  for (const [pod, { reply, wire }] of [
    [bare, open],
    [to, closed],
  ] as const) {
    const answer = reply.ok ? `${reply.value.pod} answered, asked by ${reply.value.askedBy}` : reply.error
    screen.line(`  ${from.name} → ${pod.name}: ${answer}`)
    screen.line(`    on the wire: ${screen.paint('yellow', sample(wire, request))}`)
  }
  checks.claim('both answer, to an application that speaks plain HTTP', open.reply.ok && closed.reply.ok)
  checks.claim(`the request to ${bare.name} can be read on the wire`, open.wire.includes(request))
  const readable = [request, 'HTTP/1.1 200', 'asked by'].filter((text) => closed.wire.includes(text))
  checks.claim(
    `of the request to ${to.name}, and of its answer, nothing can`,
    closed.wire.length > 0 && readable.length === 0,
    readable.join(', '),
  )
  const askedBy = closed.reply.ok ? closed.reply.value.askedBy : ''
  checks.claim('there the server was asked by its own sidecar, from 127.0.0.6', askedBy === '127.0.0.6', askedBy)
}

async function showLogs(stage: MeshStage): Promise<void> {
  const { context, from, to } = stage
  const { screen, checks } = context
  screen.heading(
    'What the sidecars saw',
    'The redirection changes where a connection goes; the kernel’s connection tracking still tells where it was sent to.',
  )
  const out = await logged(stage, from, 'outbound', to)
  const into = await logged(stage, to, 'inbound', to)
  for (const [pod, record] of [
    [from, out],
    [to, into],
  ] as const)
    screen.line(`  ${pod.name}: ${record === undefined ? 'nothing' : sentence(record)}`)
  const wanted = `${to.address}:${meshPort}`
  checks.claim(
    `both knew the original destination, ${wanted}`,
    out?.originalDestination === wanted && into?.originalDestination === wanted,
  )
  checks.claim(
    'each saw the other’s certificate',
    out?.peer === identityOf('default', to.name) && into?.peer === identityOf('default', from.name),
  )
}

function sentence({ direction, source, originalDestination, peer = 'nobody' }: LoggedConnection): string {
  return `${direction}, ${source} to ${originalDestination}, ${direction === 'outbound' ? 'to' : 'by'} ${peer}`
}

/** The line with what is looked for, or the longest one: what tcpdump could make of the bytes. */
function sample(wire: string, wanted: string): string {
  const lines = wire.split('\n').map((line) => line.trim())
  const found = lines.find((line) => line.includes(wanted)) ?? lines.toSorted((a, b) => b.length - a.length)[0] ?? ''
  const start = Math.max(0, found.indexOf(wanted))
  return found.slice(start, start + shownLength).replaceAll(/[^\x20-\x7e]/g, '.')
}
