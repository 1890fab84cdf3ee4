import { unwrap } from '../../src/base/result.ts'
import type { Fd } from '../../src/linux/fd.ts'
import { Libnftables } from '../../src/nftables/libnftables.ts'
import type { Table } from '../../src/nftables/model.ts'
import { NftablesWriter } from '../../src/nftables/writer.ts'
import type { ClusterManifests } from '../../src/proxy/manifests.fixture.ts'
import { resolveManifests } from '../../src/proxy/resolve-manifests.fixture.ts'
import { ServiceRules } from '../../src/proxy/service-rules.ts'
import type { ServiceTable } from '../../src/proxy/service-table.ts'
import { changeBetween } from '../../src/proxy/table-change.fixture.ts'

const { signal } = new AbortController()

/** The service rules of a namespace, brought from one cluster's to the next one's as the agent would. */
export class NamespaceRules implements AsyncDisposable {
  readonly #writer: NftablesWriter
  readonly #tamper: (table: Table) => Table
  #rules = newRules()
  #previous: ServiceTable | undefined

  /** `tamper` breaks the rules on their way to the kernel, to see whether a test notices. */
  constructor(netns: Fd, tamper = (table: Table): Table => table) {
    const library = unwrap(Libnftables.load())
    this.#writer = new NftablesWriter({ library, family: 'ip', name: 'vcn-services', netns })
    this.#tamper = tamper
  }

  /** Returns how the kernel was told. */
  become(cluster: ClusterManifests): Promise<string> {
    return this.bring(resolveManifests(cluster))
  }

  async bring(table: ServiceTable): Promise<string> {
    const { table: desired, purges } = this.#rules.apply(changeBetween(this.#previous, table))
    this.#previous = table
    const { how } = unwrap(await this.#writer.apply(this.#tamper(desired), signal))
    for (const { set, matches } of purges) unwrap(await this.#writer.forget(set, matches, signal))
    return how
  }

  async startAnew(): Promise<void> {
    unwrap(await this.#writer.remove(signal))
    this.#rules = newRules()
    this.#previous = undefined
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writer[Symbol.asyncDispose]()
  }
}

function newRules(): ServiceRules {
  return new ServiceRules({ localPods: 'oci*' })
}
