// A configuration list carried out as libcni does it (SPEC.md 1.0.0, section 3), plugin by plugin, in the node's namespace.
import { type CniAnswer, type CniCall, type TestNode } from './test-node.ts'

export interface ChainEntry {
  readonly type: string
  readonly capabilities?: Readonly<Record<string, boolean>>
  readonly [field: string]: unknown
}

export interface ChainConfig {
  readonly cniVersion: string
  readonly name: string
  readonly plugins: readonly ChainEntry[]
}

/** What the runtime passes on by capability: only plugins that declare one get it. */
export type CapabilityArguments = Readonly<Record<string, unknown>>

/** One attachment of a chain, from ADD to DEL. */
export class ChainAttachment {
  readonly #node: TestNode
  readonly #config: ChainConfig
  readonly #call: CniCall
  readonly #capabilityArguments: CapabilityArguments
  #result: unknown

  constructor(node: TestNode, config: ChainConfig, call: CniCall, capabilityArguments: CapabilityArguments = {}) {
    this.#node = node
    this.#config = config
    this.#call = call
    this.#capabilityArguments = capabilityArguments
  }

  /** Each plugin gets the result of the one before; the last one's is the result. The first refusal ends it. */
  async add(): Promise<CniAnswer> {
    let answer: CniAnswer = { exitCode: 0, stdout: '', json: undefined }
    for (const entry of this.#config.plugins) {
      answer = await this.#execute('ADD', entry, answer.json)
      if (answer.exitCode !== 0) return answer
    }
    this.#result = answer.json
    return answer
  }

  /** In the order of ADD, each with the final result; returns each one's answer by type. */
  async check(): Promise<Readonly<Record<string, string>>> {
    return await this.#each('CHECK', this.#config.plugins)
  }

  /** In reverse order. */
  async del(): Promise<Readonly<Record<string, string>>> {
    return await this.#each('DEL', this.#config.plugins.toReversed())
  }

  async #each(command: string, entries: readonly ChainEntry[]): Promise<Readonly<Record<string, string>>> {
    const answers: Record<string, string> = {}
    for (const entry of entries) {
      const { exitCode, stdout } = await this.#execute(command, entry, this.#result)
      answers[entry.type] = exitCode === 0 ? 'done' : stdout
    }
    return answers
  }

  async #execute(command: string, entry: ChainEntry, prevResult: unknown): Promise<CniAnswer> {
    const { capabilities, ...fields } = entry
    const { cniVersion, name } = this.#config
    const runtimeConfig = Object.fromEntries(
      Object.entries(this.#capabilityArguments).filter(([capability]) => capabilities?.[capability] === true),
    )
    const config = {
      ...fields,
      cniVersion,
      name,
      ...(Object.keys(runtimeConfig).length > 0 && { runtimeConfig }),
      ...(prevResult !== undefined && { prevResult }),
    }
    return await this.#node.cni(command, { ...this.#call, config, program: entry.type })
  }
}
