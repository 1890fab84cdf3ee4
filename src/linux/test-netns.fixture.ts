// Network namespaces of a test's own, made and looked at with iproute2, which knows nothing of the code under test.
import { execFileSync, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { constants, readFileSync } from 'node:fs'
import { Fd } from './fd.ts'
import { NetlinkSocket } from './netlink/socket.ts'
import { withNetns } from './netns.ts'

export type IpObject = Readonly<Record<string, unknown>>

/** Unique on the machine, and short enough for an interface. */
export function uniqueName(): string {
  return `vcnt-${randomBytes(4).toString('hex')}`
}

/** A namespace with a unique name and a loopback that is up, gone at the end of its `using` scope. */
export class TestNetns implements Disposable {
  readonly name = uniqueName()
  readonly path = `/run/netns/${this.name}`
  readonly fd: Fd
  readonly socket: NetlinkSocket

  constructor() {
    execFileSync('ip', ['netns', 'add', this.name])
    try {
      this.fd = Fd.open(this.path, constants.O_RDONLY)
      this.socket = withNetns(this.fd, () => new NetlinkSocket())
      this.ip('link set dev lo up')
    } catch (error) {
      this.#remove()
      throw error
    }
  }

  /** `ip COMMAND` in the namespace; words are separated by single spaces. Throws with its own message. */
  ip(command: string): string {
    return execFileSync('ip', ['-n', this.name, ...command.split(' ')], { encoding: 'utf8', stdio: 'pipe' })
  }

  /** Many commands in one process. */
  ipBatch(commands: readonly string[]): void {
    execFileSync('ip', ['-n', this.name, '-batch', '-'], { input: commands.join('\n'), stdio: 'pipe' })
  }

  /** What `ip` prints as JSON, with numbers instead of the names of /etc/iproute2. */
  ipJson(command: string): readonly IpObject[] {
    const parsed: unknown = JSON.parse(this.ip(`-N -d -j ${command}`))
    // A filter that nothing passes leaves empty objects in the list.
    return Array.isArray(parsed) ? parsed.filter(isFilledObject) : []
  }

  sysctl(name: string): string {
    return withNetns(this.fd, () => readFileSync(`/proc/sys/${name}`, 'utf8').trim())
  }

  [Symbol.dispose](): void {
    this.socket[Symbol.dispose]()
    this.fd[Symbol.dispose]()
    this.#remove()
  }

  #remove(): void {
    spawnSync('ip', ['netns', 'delete', this.name])
  }
}

function isFilledObject(value: unknown): value is IpObject {
  return typeof value === 'object' && value !== null && Object.keys(value).length > 0
}
