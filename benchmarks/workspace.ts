import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'

/** On a disk, as /var/lib is on a node: /tmp may be memory, where a journal that syncs would cost nothing. */
const onDisk = '/var/tmp'

/** A directory for all files of a benchmark, those of the nodes it starts included. */
export class Workspace implements Disposable {
  readonly path = mkdtempSync(join(onDisk, 'vcn-bench-'))

  constructor() {
    // TestNode makes its directories where os.tmpdir() says.
    process.env['TMPDIR'] = this.path
  }

  [Symbol.dispose](): void {
    // After an interruption a plugin may still be writing into it.
    rmSync(this.path, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 })
  }
}
