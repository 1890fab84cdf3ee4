// Network namespaces of a test's own, made and looked at with iproute2, which knows nothing of the code under test.
import { execFileSync, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { constants, readdirSync, readFileSync, rmSync } from 'node:fs'
import { unwrap } from '../base/result.ts'
import { Fd } from './fd.ts'
import { NetlinkSocket } from './netlink/socket.ts'
import { netnsDirectory, netnsIdentity, openNetns, openOwnNetns, withNetns } from './netns.ts'

export type IpObject = Readonly<Record<string, unknown>>

/** Unique on the machine, and short enough for an interface. */
export function uniqueName(): string {
  return `vcnt-${randomBytes(4).toString('hex')}`
}

/** A namespace with a unique name and a loopback that is up, gone at the end of its `using` scope. */
export class TestNetns implements Disposable {
  readonly name = uniqueName()
  readonly path = `${netnsDirectory}/${this.name}`
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

export interface FreeName extends Disposable {
  readonly name: string
  readonly path: string
}

/** A name that is free, and free again at the end of its `using` scope, whatever the test did with it. */
export function freeName(): FreeName {
  const name = uniqueName()
  const path = `${netnsDirectory}/${name}`
  const dispose = (): void => {
    spawnSync('umount', ['--lazy', '--quiet', path])
    rmSync(path, { force: true })
  }
  return { name, path, [Symbol.dispose]: dispose }
}

export function ownIdentity(): string {
  using own = openOwnNetns()
  return netnsIdentity(own)
}

export function identityOf(path: string): string {
  using netns = unwrap(openNetns(path))
  return netnsIdentity(netns)
}

export const openDescriptors = (): number => readdirSync('/proc/self/fd').length
