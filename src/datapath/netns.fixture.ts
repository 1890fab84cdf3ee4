// Network namespaces of a test's own, looked at and disturbed with iproute2: it knows nothing of the code under test.
import { execFileSync, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { vi } from 'vitest'
import { unwrap } from '../base/result.ts'
import type { Fd } from '../linux/fd.ts'
import { NetlinkSocket } from '../linux/netlink/socket.ts'
import { setns } from '../linux/libc.ts'
import { createNamedNetns, openNetns, openOwnNetns, removeNamedNetns, withNetns } from '../linux/netns.ts'

const CLONE_NEWNET = 0x40000000 // linux/sched.h

// A new namespace waits while the kernel takes others down, of whatever program (net/core/net_namespace.c,
// pernet_ops_rwsem): next to a benchmark with hundreds of them that is half a minute.
vi.setConfig({ testTimeout: 180_000, hookTimeout: 180_000 })

export type IpObject = Readonly<Record<string, unknown>>

/** A namespace with a unique name, gone at the end of its `using` scope, and at the latest with the process. */
export class TestNetns implements Disposable {
  static readonly #names = new Set<string>()
  static {
    process.on('exit', () => {
      for (const name of this.#names) removeNamedNetns(name)
    })
  }

  readonly name = `vt-${randomBytes(6).toString('hex')}`
  readonly path: string
  readonly fd: Fd
  readonly socket: NetlinkSocket

  constructor() {
    TestNetns.#names.add(this.name)
    this.path = createNamedNetns(this.name)
    try {
      this.fd = unwrap(openNetns(this.path))
      this.socket = withNetns(this.fd, () => new NetlinkSocket())
    } catch (error) {
      removeNamedNetns(this.name)
      throw error
    }
  }

  /** `ip COMMAND` in the namespace; words are separated by single spaces. Throws with its own message. */
  ip(command: string): string {
    return execFileSync('ip', ['-n', this.name, ...command.split(' ')], { encoding: 'utf8', stdio: 'pipe' })
  }

  /** `ip -json`, with numbers instead of the names of /etc/iproute2. */
  ipJson(command: string): readonly IpObject[] {
    const parsed: unknown = JSON.parse(this.ip(`-N -d -j ${command}`))
    return Array.isArray(parsed) ? parsed.filter(isObject) : []
  }

  /** What `ip` prints, a line an object, without trailing blanks. */
  ipLines(command: string): readonly string[] {
    const lines = this.ip(command).split('\n')
    return lines.map((line) => line.trim()).filter((line) => line !== '')
  }

  /** Runs a program in the namespace to its end and returns its exit code. */
  run(...command: readonly string[]): number | null {
    return spawnSync('nsenter', [`--net=${this.path}`, '--', ...command], { stdio: 'ignore' }).status
  }

  /** One echo request, answered within five seconds: the machine may be busy. */
  ping(address: string, ...options: readonly string[]): 'answered' | 'silence' {
    return this.run('ping', '-n', '-c', '1', '-W', '5', ...options, address) === 0 ? 'answered' : 'silence'
  }

  /** Many commands of `ip` in one process. */
  batch(commands: readonly string[]): void {
    execFileSync('ip', ['-n', this.name, '-batch', '-'], { input: `${commands.join('\n')}\n`, stdio: 'pipe' })
  }

  /** A file of /proc as the namespace shows it. */
  read(path: string): string {
    return withNetns(this.fd, () => readFileSync(path, 'utf8'))
  }

  sysctl(name: string): string {
    return this.read(`/proc/sys/${name}`).trim()
  }

  /** A counter of /proc/net/snmp or /proc/net/netstat, such as `IcmpInEchos` or `TcpExtIPReversePathFilter`. */
  counter(name: string): number {
    const files = ['snmp', 'netstat'].map((file) => this.read(`/proc/thread-self/net/${file}`))
    const lines = files.join('').split('\n')
    for (const [index, line] of lines.entries()) {
      const [group = '', ...names] = line.split(' ')
      const column = names.findIndex((column) => group.replace(':', '') + column === name)
      // A line of names is followed by the line of their values.
      if (column >= 0) return Number(lines[index + 1]?.split(' ')[column + 1])
    }
    throw new Error(`no counter ${name}`)
  }

  [Symbol.dispose](): void {
    this.socket[Symbol.dispose]()
    this.fd[Symbol.dispose]()
    removeNamedNetns(this.name)
    TestNetns.#names.delete(this.name)
  }
}

/** Puts the test's own thread into a namespace until the end of its scope, for code that opens sockets where it runs. */
export class InsideNetns implements Disposable {
  readonly #before = openOwnNetns()

  constructor(netns: TestNetns) {
    setns(netns.fd.number, CLONE_NEWNET)
  }

  [Symbol.dispose](): void {
    setns(this.#before.number, CLONE_NEWNET)
    this.#before[Symbol.dispose]()
  }
}

/** All of a namespace that an operator sees, for "nothing was left behind". */
export function snapshot(netns: TestNetns): readonly string[] {
  // Two looks may tell another state of the carrier, which the kernel brings up to date by itself.
  return ['link show', 'address show', 'route show table all', 'rule show'].flatMap((command) =>
    netns.ipLines(`-N ${command}`).map((line) => line.replace(/ state (?:UP|UNKNOWN|LOWERLAYERDOWN)/, '')),
  )
}

function isObject(value: unknown): value is IpObject {
  return typeof value === 'object' && value !== null
}
