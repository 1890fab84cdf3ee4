// The agent's service proxy at work: a real HTTP watch at one end, the kernel at the other.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { TestNetns } from '../src/linux/test-netns.fixture.ts'
import { packerOf } from '../src/nftables/datatype.ts'
import { addressOf } from '../src/nftables/raw-elements.ts'
import { endpointsName, serviceTableName } from '../src/proxy/rule-names.ts'
import { QuestionedChild } from './child-questions.ts'
import { type ElementKey, KernelElements } from './kernel-elements.ts'
import type { ProcessMemory } from './process-memory.ts'
import type { ApiQuestions, ColdStart, ProxyQuestions, WrittenKind } from './service-messages.ts'
import { serviceAddress, servicePort } from './service-objects.ts'
import type { Size } from './service-rounds.ts'

export interface WatchedFigures {
  readonly cold: ColdStart
  readonly memory: ProcessMemory
  /** A Service and its EndpointSlice, written at once. */
  readonly addedMs: readonly number[]
  /** The EndpointSlice of a Service that was there before. */
  readonly filledMs: readonly number[]
}

/** Between two additions the proxy comes to rest; not always as long, or timers would keep time with it. */
const restMs = 120
const restSpreadMs = 40
const timeoutMs = 5000
const longestMs = 120_000
const packSlot = packerOf(['ipv4_addr', 'inet_service', 'random'])

export async function measureWatched(
  size: Size,
  additions: number,
  directory: string,
  signal: AbortSignal,
): Promise<WatchedFigures> {
  using netns = new TestNetns()
  await using api = new QuestionedChild<ApiQuestions>('./service-api-process.ts')
  await using proxy = new QuestionedChild<ProxyQuestions>('./service-proxy-process.ts')
  // A child that ends takes the questions to it along: nothing else ends them, when a proxy never gets there.
  const end = (): void => void Promise.all([api[Symbol.asyncDispose](), proxy[Symbol.asyncDispose]()])
  AbortSignal.any([signal, AbortSignal.timeout(longestMs)]).addEventListener('abort', end, { once: true })
  const kubeconfigPath = join(directory, 'kubeconfig')
  writeFileSync(kubeconfigPath, await api.ask('start', { netnsPath: netns.path, ...size }))
  const cold = await proxy.ask('start', { netnsPath: netns.path, kubeconfigPath })
  await delay(1000, undefined, { signal })
  const memory = await proxy.ask('memory', {})
  using elements = new KernelElements(netns.path, addressOf({ family: 'ip', name: serviceTableName }))
  const measure = async (index: number, kinds: readonly WrittenKind[]): Promise<number> => {
    await delay(restMs + Math.random() * restSpreadMs, undefined, { signal })
    const writtenMs = await api.ask('write', { index, endpoints: size.endpoints, kinds })
    return elements.waitFor(lastElementOf(index, size), timeoutMs) - writtenMs
  }
  const addedMs: number[] = []
  const filledMs: number[] = []
  for (let round = 0; round < additions; round++) {
    const index = size.services + 2 * round
    addedMs.push(await measure(index, ['service', 'slice']))
    await api.ask('write', { index: index + 1, endpoints: size.endpoints, kinds: ['service'] })
    filledMs.push(await measure(index + 1, ['slice']))
  }
  return { cold, memory, addedMs, filledMs }
}

/** All elements of a Service come in one transaction: where this one is, the others are. */
function lastElementOf(index: number, { endpoints }: Size): ElementKey {
  return { set: endpointsName('svc4', 'tcp'), key: packSlot(serviceAddress(index), servicePort, endpoints - 1) }
}
