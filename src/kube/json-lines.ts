import { StringDecoder } from 'node:string_decoder'

/** More than any object the API server stores (etcd's limit is 1.5 MiB): beyond it, the stream is not what we think. */
const longestLineCharacters = 32 * 1024 * 1024

/** Cuts a stream of bytes into lines, wherever the pieces end; blank lines are skipped. */
export class LineSplitter {
  readonly #decoder = new StringDecoder('utf8')
  // Pieces of the unfinished line: joined once, so that a large object in many small pieces costs no quadratic time.
  #pieces: string[] = []
  #unfinishedCharacters = 0

  /** The lines that `chunk` completes. Throws RangeError for an endless line. */
  push(chunk: Buffer): readonly string[] {
    const [head = '', ...rest] = this.#decoder.write(chunk).split('\n')
    this.#pieces.push(head)
    this.#unfinishedCharacters += head.length
    if (this.#unfinishedCharacters > longestLineCharacters) throw new RangeError('a line without an end')
    if (rest.length === 0) return []
    const last = rest.pop() ?? ''
    const lines = [this.#pieces.join(''), ...rest]
    this.#pieces = [last]
    this.#unfinishedCharacters = last.length
    return lines.filter((line) => line.trim() !== '')
  }

  /** Whether the stream stopped in the middle of a line. */
  get hasHalfLine(): boolean {
    return this.#unfinishedCharacters > 0
  }
}
