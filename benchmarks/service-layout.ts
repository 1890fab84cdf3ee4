// Our layout in a namespace: objects in, rules out, as the agent does it.
import { unwrap } from '../src/base/result.ts'
import type { Fd } from '../src/linux/fd.ts'
import type { Libnftables } from '../src/nftables/libnftables.ts'
import { NftablesWriter } from '../src/nftables/writer.ts'
import { serviceTableName } from '../src/proxy/rule-names.ts'
import { type ObjectChanges, ServiceIndex } from '../src/proxy/service-index.ts'
import { ServiceRules } from '../src/proxy/service-rules.ts'
import { benchNode } from './service-objects.ts'

/** Of a change: what was planning, and what was the writer and the kernel. */
export interface LayoutTimes {
  readonly planMs: number
  readonly kernelMs: number
}

export class ServiceLayout implements AsyncDisposable {
  readonly #index = new ServiceIndex(benchNode)
  readonly #rules = new ServiceRules({ localPods: 'oci*' })
  readonly #writer: NftablesWriter

  constructor(library: Libnftables, netns: Fd) {
    this.#writer = new NftablesWriter({ library, family: 'ip', name: serviceTableName, netns })
  }

  async apply(objects: ObjectChanges, signal: AbortSignal): Promise<LayoutTimes> {
    const startedMs = performance.now()
    const { frontends } = this.#index.apply(objects)
    const { table } = this.#rules.apply({ frontends })
    const plannedMs = performance.now()
    unwrap(await this.#writer.apply(table, signal))
    return { planMs: plannedMs - startedMs, kernelMs: performance.now() - plannedMs }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writer[Symbol.asyncDispose]()
  }
}
