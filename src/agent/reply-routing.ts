import type { Logger } from '../base/logger.ts'
import { err, type Result } from '../base/result.ts'
import type { NetnsPlan } from '../datapath/state.ts'
import { Libnftables } from '../nftables/libnftables.ts'
import type { TableName } from '../nftables/render.ts'
import { isTableThere, isWithoutNftables } from '../nftables/table-presence.ts'
import { NftablesWriter } from '../nftables/writer.ts'
import { planReplyTable, replyTableName } from './reply-table.ts'

const tableName: TableName = { family: 'ip', name: replyTableName }

/**
 * Keeps the table by which replies to NodePorts and hostPorts leave where their translated source lives. Pods are served
 * without it: what is wrong is a warning. The table stays when the agent ends.
 */
export class ReplyRouting implements AsyncDisposable {
  readonly #logger: Logger
  readonly #isWanted: boolean
  readonly #writer: NftablesWriter | undefined
  readonly #closing = new AbortController()
  #warning: string | undefined

  /** In the node's namespace. Not wanted: a table that an earlier agent has left is taken away. */
  constructor(options: { readonly isWanted: boolean; readonly logger: Logger }) {
    const { isWanted, logger } = options
    this.#isWanted = isWanted
    this.#logger = logger
    this.#writer = this.#open()
  }

  /** Why replies to NodePorts and hostPorts of pods on secondary VNICs may not arrive. */
  get warnings(): readonly string[] {
    return this.#warning === undefined ? [] : [this.#warning]
  }

  /** To be called after each comparison of the node: that is also when what failed is tried again. Never rejects. */
  async follow({ rules }: Pick<NetnsPlan, 'rules'>): Promise<void> {
    const { signal } = this.#closing
    if (this.#writer === undefined) return
    try {
      this.#note(
        this.#isWanted ? await this.#writer.apply(planReplyTable(rules), signal) : await this.#writer.remove(signal),
      )
    } catch (error) {
      if (!signal.aborted) this.#logger.error('replies.failed', { error })
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort()
    await this.#writer?.[Symbol.asyncDispose]()
  }

  #open(): NftablesWriter | undefined {
    const logger = this.#logger
    try {
      // The library costs 3 MiB.
      if (!this.#isWanted && !isTableThere(tableName)) return undefined
      const library = Libnftables.load()
      if (library.ok) {
        return new NftablesWriter({
          library: library.value,
          ...tableName,
          onLost: (reason) => logger.warn('replies.lost', { reason, note: 'the table is being rebuilt' }),
          onRepair: (outcome) => this.#note(outcome),
        })
      }
      this.#note(library)
    } catch (error) {
      if (!isWithoutNftables(error)) throw error
      if (this.#isWanted) this.#note(err(error))
    }
    return undefined
  }

  #note(outcome: Result<unknown, string | Error>): void {
    const before = this.#warning
    this.#warning = outcome.ok
      ? undefined
      : `nodePortSupport: ${outcome.error instanceof Error ? outcome.error.message : outcome.error}`
    if (this.#warning === before) return
    if (this.#warning === undefined) this.#logger.info('replies.restored')
    else this.#logger.warn('replies.unsupported', { problem: this.#warning })
  }
}
