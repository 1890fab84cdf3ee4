import type { Ipv4 } from '../../base/ip.ts'
import { type DemoContext, type DemoPod, examplePods, nodeAddress } from './demo-context.ts'
import { type Answer, type Pair, ping, pingAll } from './ping.ts'
import { type Cell, right } from './screen.ts'

/** IPv4 and ICMP headers take 28 of the 9000 bytes. */
const largestPayloadBytes = 8972

/** A table of who reaches whom, by real echoes. */
export async function showReachability(context: DemoContext): Promise<void> {
  const { pods, screen, checks, signal } = context
  screen.heading(
    'Every pod to every pod',
    'Each row pings each column by its VCN address; the cells are round-trip times in milliseconds.',
  )
  const pairs = pairsOf(pods, pods).filter(({ from, to }) => from !== to)
  const answers = await pingAll(pairs, progress(context, pairs), signal)
  const cell = (from: DemoPod, to: DemoPod): Cell => {
    if (from === to) return right('·', 'dim')
    const time = answers.find((answer) => answer.from === from && answer.to === to)?.milliseconds
    if (time === undefined) return right('✘', ['bold', 'red'])
    return right(time.toFixed(2), from.node === to.node ? 'green' : 'blue')
  }
  screen.table(
    ['', ...pods.map(({ name }) => name)],
    pods.map((from) => [from.name, ...pods.map((to) => cell(from, to))]),
  )
  screen.line(`  ${screen.paint('green', 'same node')}  ${screen.paint('blue', 'across nodes')}`)
  claimAll(context, `all ${pairs.length} pairs of pods reach each other`, answers)

  const { from, otherNode } = examplePods(pods)
  const options = { payloadBytes: largestPayloadBytes, mayFragment: false } as const
  const large = await ping(from.netns, otherNode.address, signal, options)
  checks.claim('packets of 9000 bytes pass between nodes unfragmented', large !== undefined)
}

/** Pods and nodes, both ways: kubelet's probes, and pods that talk to host processes. */
export async function showNodeTraffic(context: DemoContext): Promise<void> {
  const { lab, pods, screen, signal } = context
  screen.heading('Pods and nodes', 'Every node probes every pod as kubelet does, and every pod pings every node.')
  const nodes = lab.nodes.map(({ name, netns }) => ({ name, netns, address: nodeAddress(lab, name) }))
  const toPods = pairsOf(nodes, pods)
  const fromNodes = await pingAll(toPods, progress(context, toPods), signal)
  claimAll(context, `all ${nodes.length} nodes reach all ${pods.length} pods`, fromNodes)
  const toNodes = pairsOf(pods, nodes)
  const fromPods = await pingAll(toNodes, progress(context, toNodes), signal)
  claimAll(context, `all ${pods.length} pods reach all ${nodes.length} nodes`, fromPods)
}

interface Named {
  readonly name: string
  readonly address: Ipv4
}

function pairsOf<From, To>(froms: readonly From[], tos: readonly To[]): readonly Pair<From, To>[] {
  return froms.flatMap((from) => tos.map((to) => ({ from, to })))
}

function progress({ screen }: DemoContext, pairs: readonly unknown[]): (count: number) => void {
  return (count) => {
    screen.progress(`${count} of ${pairs.length} pairs`)
  }
}

function claimAll({ checks }: DemoContext, text: string, answers: readonly Answer<Named, Named>[]): void {
  const silent = answers.filter(({ milliseconds }) => milliseconds === undefined)
  const examples = silent.slice(0, 3).map(({ from, to }) => `${from.name} → ${to.name} (${to.address})`)
  checks.claim(text, silent.length === 0, `${silent.length} do not, such as ${examples.join(', ')}`)
}
