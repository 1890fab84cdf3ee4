import { parseIpv4 } from '../../src/base/ip.ts'
import { unwrap } from '../../src/base/result.ts'
import type { Fd } from '../../src/linux/fd.ts'
import { Libnftables } from '../../src/nftables/libnftables.ts'
import type { Table } from '../../src/nftables/model.ts'
import { NftablesWriter } from '../../src/nftables/writer.ts'
import { PolicyRuleset, type PolicyRuleChange, type PodInterface } from '../../src/policy/policy-rules.ts'
import type { PolicyTable } from '../../src/policy/policy-table.ts'
import { policyTableName } from '../../src/policy/rule-names.ts'

const { signal } = new AbortController()

/** Breaks the rules on their way to the kernel, to see whether a test notices. */
export type Tamper = (table: Table) => Table

/** The policy rules of one node's namespace, brought there as the agent would. */
export class NodePolicy implements AsyncDisposable {
  readonly #netns: Fd
  readonly #interfaces: readonly PodInterface[]
  readonly #tamper: Tamper
  #ruleset: PolicyRuleset
  #writer: NftablesWriter

  constructor(netns: Fd, interfaces: readonly PodInterface[], tamper: Tamper = (table) => table) {
    this.#netns = netns
    this.#interfaces = interfaces
    this.#tamper = tamper
    this.#ruleset = newRuleset()
    this.#writer = newWriter(netns)
  }

  /** From the rules that are there to those of another history, in one transaction. Returns how the kernel was told. */
  async become({ pods, peerSets }: Pick<PolicyTable, 'pods' | 'peerSets'>): Promise<string> {
    this.#ruleset = newRuleset()
    return await this.apply({
      pods: [...pods].map(([key, after]) => ({ key, before: undefined, after })),
      peerSets: [...peerSets].map(([key, after]) => ({ key, before: undefined, after })),
      interfaces: this.#interfaces.map((after) => ({ key: after.name, before: undefined, after })),
    })
  }

  async apply(change: PolicyRuleChange): Promise<string> {
    this.#ruleset.apply(change)
    return await this.#write(this.#ruleset.table())
  }

  /** As after a restart of the agent: somebody who does not know what is there replaces all of it. */
  async reload(): Promise<string> {
    await this.#writer[Symbol.asyncDispose]()
    this.#writer = newWriter(this.#netns)
    return await this.#write(this.#ruleset.table())
  }

  async #write(table: Table): Promise<string> {
    const { how } = unwrap(await this.#writer.apply(this.#tamper(table), signal))
    return how
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writer[Symbol.asyncDispose]()
  }
}

export function podInterface(namespace: string, name: string, address: string): PodInterface {
  return {
    name: ifnameOf(namespace, name),
    addresses: [unwrap(parseIpv4(address))],
    subject: { kind: 'pod', key: `${namespace}/${name}` },
  }
}

export function ifnameOf(namespace: string, name: string): string {
  return `oci-${namespace}-${name}`
}

function newRuleset(): PolicyRuleset {
  return new PolicyRuleset({ localPods: 'oci*' })
}

function newWriter(netns: Fd): NftablesWriter {
  return new NftablesWriter({ library: unwrap(Libnftables.load()), family: 'ip', name: policyTableName, netns })
}
