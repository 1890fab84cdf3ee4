// Policies in a namespace's kernel: objects in, rules out, as the agent does it, and as who knows nothing of changes does.
import { unwrap } from '../src/base/result.ts'
import { hostIfname, hostIfnamePattern } from '../src/datapath/host-ifname.ts'
import type { Fd } from '../src/linux/fd.ts'
import type { Libnftables } from '../src/nftables/libnftables.ts'
import { NftablesWriter } from '../src/nftables/writer.ts'
import { PolicyIndex, type PolicyObjectChanges } from '../src/policy/policy-index.ts'
import { type PodInterface, PolicyRuleset } from '../src/policy/policy-rules.ts'
import type { Change } from '../src/policy/policy-table.ts'
import { policyTableName } from '../src/policy/rule-names.ts'
import { benchNodeName, localAddress, localPodCount, localPodName } from './policy-objects.ts'

/** Of a change: what was planning, and what was the writer and the kernel. */
export interface PolicyTimes {
  readonly indexMs: number
  readonly rulesMs: number
  readonly kernelMs: number
}

/** The rules of a node, kept up to date by changes. */
export class PolicyLayout implements AsyncDisposable {
  readonly #index = new PolicyIndex(benchNodeName)
  readonly #rules = new PolicyRuleset({ localPods: hostIfnamePattern })
  readonly #writer: NftablesWriter
  #interfaces: readonly Change<PodInterface>[] = localInterfaces

  constructor(library: Libnftables, netns: Fd) {
    this.#writer = new NftablesWriter({ library, family: 'ip', name: policyTableName, netns })
  }

  async apply(objects: PolicyObjectChanges, signal: AbortSignal): Promise<PolicyTimes> {
    const startedMs = performance.now()
    const change = this.#index.apply(objects)
    const indexedMs = performance.now()
    this.#rules.apply({ ...change, interfaces: this.#interfaces })
    this.#interfaces = []
    const table = this.#rules.table()
    const plannedMs = performance.now()
    unwrap(await this.#writer.apply(table, signal))
    return {
      indexMs: indexedMs - startedMs,
      rulesMs: plannedMs - indexedMs,
      kernelMs: performance.now() - plannedMs,
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writer[Symbol.asyncDispose]()
  }
}

export function totalMs({ indexMs, rulesMs, kernelMs }: PolicyTimes): number {
  return indexMs + rulesMs + kernelMs
}

/** Everything compiled anew, and the whole table put in the old one's place in one transaction. */
export async function rebuildAll(
  library: Libnftables,
  netns: Fd,
  objects: PolicyObjectChanges,
  signal: AbortSignal,
): Promise<PolicyTimes> {
  await using layout = new PolicyLayout(library, netns)
  return await layout.apply(objects, signal)
}

export function localInterfaceName(index: number): string {
  return hostIfname({ network: '', containerId: '', ifname: 'eth0' }, localPodName(index))
}

const localInterfaces = Array.from({ length: localPodCount }, (_, index): Change<PodInterface> => {
  const { namespace, name } = localPodName(index)
  const key = localInterfaceName(index)
  const subject = { kind: 'pod', key: `${namespace}/${name}` } as const
  return { key, before: undefined, after: { name: key, addresses: [localAddress(index)], subject } }
})
