import koffi from 'koffi'
import { err, ok, type Result } from '../base/result.ts'

const libraryFile = 'libnftables.so.1'
const NFT_CTX_DEFAULT = 0

/** What libnftables says about commands it did not carry out; of several complaints the first. */
export interface CommandRefusal {
  /** Without the place, such as `Could not process rule: No such file or directory`. */
  readonly message: string
  /** The command that it is about; of one with many elements only the element, where libnftables tells. */
  readonly command: string | undefined
}

type Loaded = ReturnType<typeof bind>

/**
 * The library: its contexts share tables of their own (interfaces' names, for one) without a lock, so that all that is
 * done in a process happens one after the other, whoever loaded it.
 */
export class Libnftables {
  static #last: Promise<unknown> = Promise.resolve()
  readonly #functions: Loaded

  private constructor(functions: Loaded) {
    this.#functions = functions
  }

  /** The error says what to install. */
  static load(): Result<Libnftables, string> {
    try {
      return ok(new Libnftables(bind()))
    } catch (error) {
      return err(`${libraryFile} cannot be loaded (Debian's package is libnftables1): ${String(error)}`)
    }
  }

  /** A context of the calling thread's namespace, where it stays: open it within `withNetns` for another one. */
  openContext(): NftContext {
    return new NftContext(this.#functions, (work) => this.#inTurn(work))
  }

  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = Libnftables.#last.then(work)
    Libnftables.#last = turn.catch(() => undefined)
    return turn
  }
}

/** One connection to nf_tables. All commands of one run are one transaction. */
export class NftContext implements Disposable {
  readonly #functions: Loaded
  readonly #inTurn: <T>(work: () => Promise<T>) => Promise<T>
  readonly #context: unknown
  #running = 0
  #isDisposed = false

  constructor(functions: Loaded, inTurn: <T>(work: () => Promise<T>) => Promise<T>) {
    this.#functions = functions
    this.#inTurn = inTurn
    const context: unknown = functions.newContext(NFT_CTX_DEFAULT)
    if (context === null) throw new Error('libnftables has no memory for a context')
    functions.bufferOutput(context)
    functions.bufferError(context)
    this.#context = context
  }

  /** On a thread of libuv's pool. All of the commands take effect, or none. */
  async run(commands: string): Promise<Result<void, CommandRefusal>> {
    if (this.#isDisposed) throw new Error('this context of libnftables is closed')
    this.#running++
    try {
      return await this.#inTurn(() => this.#runNow(commands))
    } finally {
      this.#running--
      this.#freeWhenUnused()
    }
  }

  /** Commands under way are finished before the context goes. */
  [Symbol.dispose](): void {
    if (this.#isDisposed) return
    this.#isDisposed = true
    this.#freeWhenUnused()
  }

  async #runNow(commands: string): Promise<Result<void, CommandRefusal>> {
    const status = await this.#callRun(onOneLine(commands))
    // Reading a buffer also empties it.
    const complaint: unknown = this.#functions.errorBuffer(this.#context)
    this.#functions.outputBuffer(this.#context)
    return status === 0 ? ok(undefined) : err(parseComplaint(String(complaint), commands))
  }

  // koffi copies strings, so that nothing has to be held until the callback.
  #callRun(commands: string): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#functions.run.async(this.#context, commands, (error: Error | null, status: unknown) => {
        if (error === null) resolve(Number(status))
        else reject(error)
      })
    })
  }

  #freeWhenUnused(): void {
    if (this.#isDisposed && this.#running === 0) this.#functions.freeContext(this.#context)
  }
}

// nftables/libnftables.h
function bind() {
  const library = koffi.load(libraryFile)
  return {
    newContext: library.func('void *nft_ctx_new(uint32_t flags)'),
    freeContext: library.func('void nft_ctx_free(void *context)'),
    bufferOutput: library.func('int nft_ctx_buffer_output(void *context)'),
    bufferError: library.func('int nft_ctx_buffer_error(void *context)'),
    outputBuffer: library.func('const char *nft_ctx_get_output_buffer(void *context)'),
    errorBuffer: library.func('const char *nft_ctx_get_error_buffer(void *context)'),
    run: library.func('int nft_run_cmd_from_buffer(void *context, const char *commands)'),
  }
}

/**
 * The same commands on one line, character for character. Of commands in a buffer libnftables tells only the column of
 * a mistake, and quotes the first line whatever line it is on.
 */
function onOneLine(commands: string): string {
  return commands.replaceAll(',\n', ', ').replaceAll('{\n', '{ ').replaceAll('\n}', ' }').replaceAll('\n', ';')
}

/** `Error: MESSAGE`, then the line and a row of marks under it; several of them for one mistake. */
export function parseComplaint(complaint: string, commands: string): CommandRefusal {
  const message = /^(?:\S+: )?Error: (.*)$/m.exec(complaint)?.[1]
  if (message === undefined) {
    return { message: complaint.trim() || 'libnftables failed without a word', command: undefined }
  }
  const marks = /^ *\^/m.exec(complaint)?.[0]
  return { message, command: marks === undefined ? undefined : commandAt(commands, marks.length - 1) }
}

/** A line, and around one that is an element the command it belongs to. */
function commandAt(commands: string, offset: number): string {
  const line = lineAt(commands, offset)
  const blockStart = commands.lastIndexOf('{\n', offset)
  if (blockStart < 0 || commands.lastIndexOf('\n}', offset) > blockStart) return line
  const head = lineAt(commands, blockStart)
  return head === line ? `${head} … }` : `${head} ${line.replace(/,$/, '')} }`
}

function lineAt(text: string, offset: number): string {
  const end = text.indexOf('\n', offset)
  return text.slice(text.lastIndexOf('\n', offset - 1) + 1, end < 0 ? text.length : end)
}
