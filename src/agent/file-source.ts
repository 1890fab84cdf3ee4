import type { Ipv4 } from '../base/ip.ts'
import type { Logger } from '../base/logger.ts'
import { err, ok, type Result } from '../base/result.ts'
import type { Vnic } from '../base/vnic.ts'
import type { AddressSource, ServedNode } from './address-source.ts'
import { readInputFile } from './input-files.ts'
import type { SourceStatus } from './status.ts'
import { parseVnicsFile } from './vnics-file.ts'

const nothing: ReadonlySet<Ipv4> = new Set()

/** The standalone source: a file that an operator writes, read at start and when asked to. */
export class FileSource implements AddressSource {
  readonly #path: string
  readonly #logger: Logger
  #vnics: readonly Vnic[]
  #served: ServedNode | undefined

  static open(path: string, logger: Logger): Result<FileSource, string> {
    const vnics = readInputFile(path, parseVnicsFile)
    return vnics.ok ? ok(new FileSource(path, vnics.value, logger)) : err(vnics.error)
  }

  private constructor(path: string, vnics: readonly Vnic[], logger: Logger) {
    this.#path = path
    this.#vnics = vnics
    this.#logger = logger
  }

  vnics(): readonly Vnic[] {
    return this.#vnics
  }

  releasing(): ReadonlySet<Ipv4> {
    return nothing
  }

  /** A file with errors changes nothing. */
  reload(): void {
    const vnics = readInputFile(this.#path, parseVnicsFile)
    if (vnics.ok) {
      this.#vnics = vnics.value
      this.#served?.sourceChanged()
    } else {
      this.#logger.error('vnics.unusable', { problem: vnics.error })
    }
  }

  serve(node: ServedNode): void {
    this.#served = node
  }

  poke(): void {
    // Nobody is told.
  }

  status(): SourceStatus {
    return { kind: 'file', path: this.#path }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve()
  }
}
