// The agent's policy engine at work: a real HTTP watch at one end, the kernel at the other.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { unwrap } from '../src/base/result.ts'
import { parseNetworkPolicy } from '../src/kube/network-policy.ts'
import { TestNetns } from '../src/linux/test-netns.fixture.ts'
import { packerOf } from '../src/nftables/datatype.ts'
import { addressOf } from '../src/nftables/raw-elements.ts'
import { peerText } from '../src/policy/peers.ts'
import { peerKey } from '../src/policy/policy-table.ts'
import { unitOfNetworkPolicy } from '../src/policy/policy-unit.ts'
import { dispatchNames, peerSetName, policyTableName } from '../src/policy/rule-names.ts'
import { QuestionedChild } from './child-questions.ts'
import { type ElementKey, KernelElements } from './kernel-elements.ts'
import { localInterfaceName } from './policy-layout.ts'
import type { EngineStart, PolicyApiQuestions, PolicyEngineQuestions } from './policy-messages.ts'
import {
  bigPod,
  bigPodCount,
  type ClusterChange,
  goldPolicy,
  peerAddress,
  probePolicy,
  probePolicyCount,
  type WrittenObject,
} from './policy-objects.ts'
import { changeOf } from './policy-rounds.ts'
import type { ProcessMemory } from './process-memory.ts'

export interface WatchedPolicies {
  readonly start: EngineStart
  readonly memory: ProcessMemory
  /** A label of a peer. */
  readonly peerMs: readonly number[]
  /** A label of a pod of the node, which other policies select then. */
  readonly localMs: readonly number[]
  /** A label of the namespace of 5,000 peers. */
  readonly namespaceMs: readonly number[]
}

export interface WatchedCounts {
  readonly policies: number
  readonly peers: number
  readonly locals: number
  readonly namespaces: number
}

/** As bin/vcnctl starts it: how much memory it takes depends on them. */
const agentFlags = ['--max-semi-space-size=2']
/** Between two changes the engine comes to rest; not always as long, or timers would keep time with it. */
const restMs = 120
const restSpreadMs = 40
const timeoutMs = 10_000
const longestMs = 300_000
const packAddress = packerOf(peerKey)
const packIfname = packerOf(['ifname'])

export async function measureWatchedPolicies(
  counts: WatchedCounts,
  directory: string,
  signal: AbortSignal,
): Promise<WatchedPolicies> {
  using netns = new TestNetns()
  await using api = new QuestionedChild<PolicyApiQuestions>('./policy-api-process.ts')
  await using engine = new QuestionedChild<PolicyEngineQuestions>('./policy-engine-process.ts', agentFlags)
  // A child that ends takes the questions to it along: nothing else ends them, when an engine never gets there.
  const end = (): void => void Promise.all([api[Symbol.asyncDispose](), engine[Symbol.asyncDispose]()])
  AbortSignal.any([signal, AbortSignal.timeout(longestMs)]).addEventListener('abort', end, { once: true })
  const kubeconfigPath = join(directory, 'kubeconfig')
  writeFileSync(kubeconfigPath, await api.ask('start', { netnsPath: netns.path, policies: counts.policies }))
  const start = await engine.ask('start', { netnsPath: netns.path, kubeconfigPath })
  await delay(1000, undefined, { signal })
  using elements = new KernelElements(netns.path, addressOf({ family: 'ip', name: policyTableName }))
  const measure = async (kind: 'peer' | 'local' | 'namespace', count: number): Promise<readonly number[]> => {
    const samples: number[] = []
    for (let round = 0; round < count; round++) {
      await delay(restMs + Math.random() * restSpreadMs, undefined, { signal })
      const change = changeOf(kind, round)
      const element = witnessOf(change)
      const before = elements.read(element)
      const writtenMs = await api.ask('write', change)
      samples.push(elements.waitUntil(element, (found) => found !== before, timeoutMs) - writtenMs)
    }
    return samples
  }
  const peerMs = await measure('peer', counts.peers)
  const localMs = await measure('local', counts.locals)
  const namespaceMs = await measure('namespace', counts.namespaces)
  return { start, memory: await engine.ask('memory', {}), peerMs, localMs, namespaceMs }
}

/** All that a change leads to comes in one transaction: where this element has changed, everything has. */
function witnessOf(change: ClusterChange): ElementKey {
  switch (change.kind) {
    case 'peer':
      return { set: peersOf(probePolicy(probePolicyCount - 1)), key: packAddress(peerAddress(change.pod)) }
    case 'local':
      return { set: dispatchNames.ingress.there, key: packIfname(localInterfaceName(change.pod)) }
    case 'namespace':
      return { set: peersOf(goldPolicy(0)), key: packAddress(peerAddress(bigPod(bigPodCount - 1))) }
    case 'policy':
      throw new Error('no element tells of a change of rules')
  }
}

/** The set of the peers of a policy's first rule. */
function peersOf({ manifest }: WrittenObject): string {
  const peers = unitOfNetworkPolicy(unwrap(parseNetworkPolicy(manifest))).ingress?.[0]?.peers
  const first = peers === 'any' ? undefined : peers?.[0]
  if (first === undefined) throw new Error(`${manifest.metadata.name} has no peers`)
  return peerSetName(peerText(first))
}
