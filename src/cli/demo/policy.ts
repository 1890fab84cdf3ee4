import { setTimeout as sleep } from 'node:timers/promises'
import { unwrap } from '../../base/result.ts'
import { clusterClient } from '../../lab/cluster/cluster-up.ts'
import { canConnect, OpenRequest } from '../../lab/cluster/web-client.ts'
import { describeExplanation } from '../policy/describe-explanation.ts'
import { explainFlow } from '../policy/explain-flow.ts'
import { resolveEnd } from '../policy/flow-end.ts'
import { readPolicyObjects } from '../policy/policy-objects.ts'
import { type DemoContext, nodeNetnsOf } from './demo-context.ts'
import {
  allowOwnColour,
  type ColouredPod,
  colours,
  demoPort,
  droppedOnTheWayTo,
  openPolicyStage,
  pairName,
  type PolicyStage,
  reachedPairs,
  removePolicy,
} from './policy-stage.ts'
import type { Cell } from './screen.ts'
import { until } from './service-stage.ts'

/** Time for an answer that must not come to come. */
const afterwardsMs = 300

/** Pods of two colours, kept apart by two policies and joined again, with a connection that was open all the while. */
export async function showPolicy(context: DemoContext): Promise<void> {
  const { lab, screen } = context
  if (lab.cluster?.settings.policy !== 'vcn') {
    screen.line('\nThis lab’s agents enforce no network policies (cluster.policy), so none is shown.')
    return
  }
  const client = clusterClient(lab.name)
  try {
    const stage = await openPolicyStage(context, client)
    const [red, blue] = colours.map((colour) => stage.pods.find((pod) => pod.colour === colour))
    if (red === undefined || blue === undefined) throw new Error('the stage has no pods of a colour')
    await showOpenCluster(stage)
    using open = new OpenRequest(red.netns, { address: blue.address, port: demoPort })
    await open.connected
    await showSeparation(stage)
    await showOpenConnection(stage, open, blue)
    await showExplanation(stage, red, blue)
    await showRemoval(stage, open, blue)
  } finally {
    client.close()
  }
}

async function showOpenCluster(stage: PolicyStage): Promise<void> {
  const { screen, checks } = stage.context
  screen.heading(
    'Pods of two colours',
    'Without a policy every pod reaches every other; each cell is a real connection.',
  )
  const before = await reachedPairs(stage)
  printMatrix(stage, before)
  checks.claim(
    'without a policy all pairs connect',
    isAsWanted(stage, before, () => true),
  )
}

async function showSeparation(stage: PolicyStage): Promise<void> {
  const { screen, checks, signal } = stage.context
  screen.heading(
    'Only their own colour',
    '$ kubectl apply: two NetworkPolicies, red-only and blue-only; each lets its own colour in and nobody else.',
  )
  const startMs = performance.now()
  for (const colour of colours) await allowOwnColour(stage, colour)
  const isSameColour = (from: ColouredPod, to: ColouredPod): boolean => from.colour === to.colour
  const after = await until(signal, async () => {
    const reached = await reachedPairs(stage)
    return isAsWanted(stage, reached, isSameColour) ? reached : undefined
  })
  printMatrix(stage, after ?? (await reachedPairs(stage)))
  checks.claim(
    `pods of one colour connect, the others do not (seen ${((performance.now() - startMs) / 1000).toFixed(1)} s after apply)`,
    after !== undefined,
  )
  const fromNodes = await Promise.all(
    stage.pods.map(({ node, address }) =>
      canConnect(nodeNetnsOf(stage.context.lab, node), { address, port: demoPort }),
    ),
  )
  checks.claim('every pod’s own node still reaches it, as kubelet’s probes must', fromNodes.every(Boolean))
}

async function showOpenConnection(stage: PolicyStage, open: OpenRequest, to: ColouredPod): Promise<void> {
  const { screen, checks, signal } = stage.context
  screen.heading(
    'A connection that was open before',
    `A red pod had connected to ${to.name} and sends the rest of its request now: the policy is about every packet, not only about the first.`,
  )
  const before = await droppedOnTheWayTo(stage, to)
  open.finish()
  await sleep(afterwardsMs, undefined, { signal })
  const after = await droppedOnTheWayTo(stage, to)
  screen.line(`  packets that the kernel kept from ${to.name}: ${before} before, ${after} now`)
  checks.claim('no answer comes', open.received === '', open.received)
  checks.claim(
    `the kernel’s counter of ${to.name} has counted what was dropped`,
    after > before,
    `${before} and ${after}`,
  )
}

async function showExplanation(stage: PolicyStage, from: ColouredPod, to: ColouredPod): Promise<void> {
  const { context, client, pods } = stage
  const { screen, checks, signal } = context
  screen.heading('Why', 'vcnctl policy explain asks the rules that the agents compile, and names what decides.')
  const objects = await readPolicyObjects(client, signal)
  const reached = await reachedPairs(stage)
  const explain = (one: ColouredPod, other: ColouredPod): ReturnType<typeof explainFlow> => {
    const [source, destination] = [one, other].map(({ name }) => unwrap(resolveEnd(`default/${name}`, objects)))
    if (source === undefined || destination === undefined) throw new Error('two ends make a flow')
    return explainFlow(objects, source, destination, { protocol: 'TCP', port: demoPort })
  }
  const friend = pods.find((pod) => pod.colour === to.colour && pod !== to) ?? to
  for (const one of [from, friend]) {
    screen.line(`  $ vcnctl policy explain ${one.name} ${to.name} --port ${demoPort}`)
    for (const line of describeExplanation(explain(one, to)).trimEnd().split('\n')) screen.line(`    ${line}`)
  }
  const isSame = pods.every((one) =>
    pods.every((other) => {
      const said = explain(one, other).cases.every(({ decision }) => decision.isAllowed)
      return one === other || said === reached.has(pairName(one, other))
    }),
  )
  checks.claim('for every pair it says what the packets say', isSame)
}

async function showRemoval(stage: PolicyStage, open: OpenRequest, to: ColouredPod): Promise<void> {
  const { screen, checks, signal } = stage.context
  screen.heading('The policies go', '$ kubectl delete netpol red-only blue-only')
  for (const colour of colours) await removePolicy(stage, colour)
  const reached = await until(signal, async () => {
    const found = await reachedPairs(stage)
    return isAsWanted(stage, found, () => true) ? found : undefined
  })
  checks.claim('all pairs connect again', reached !== undefined)
  const answered = await until(signal, () => Promise.resolve(open.received.includes(to.name) ? true : undefined))
  checks.claim('the connection of before goes on where it stood, and is answered', answered === true)
}

function isAsWanted(
  { pods }: PolicyStage,
  reached: ReadonlySet<string>,
  isWanted: (from: ColouredPod, to: ColouredPod) => boolean,
): boolean {
  return pods.every((from) => pods.every((to) => from === to || reached.has(pairName(from, to)) === isWanted(from, to)))
}

function printMatrix({ context: { screen }, pods }: PolicyStage, reached: ReadonlySet<string>): void {
  const cell = (from: ColouredPod, to: ColouredPod): Cell => {
    if (from === to) return { text: '·', style: 'dim' }
    return reached.has(pairName(from, to)) ? { text: '✔', style: 'green' } : { text: '✘', style: ['bold', 'red'] }
  }
  screen.table(
    ['', ...pods.map(({ name }) => name)],
    pods.map((from) => [from.name, ...pods.map((to) => cell(from, to))]),
  )
}
