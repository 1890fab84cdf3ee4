// A pod's namespace with a sidecar and an application in it, and somebody outside, with real connections between them.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { join } from 'node:path'
import { formatCidr } from '../base/cidr.ts'
import { textOfTable } from '../nftables/golden-table.fixture.ts'
import type { Redirection } from './redirection.ts'
import { loopbackAddresses, redirectionRouting } from './redirection-routes.ts'
import { redirectionTable } from './redirection-table.ts'

/** eth0 has the default route; net1 is another network's; what is far lies behind the default route. */
export const pod = { ipv4: '10.77.0.2', ipv6: 'fd77::2', net1: '10.78.0.2' } as const
export const outside = { ipv4: '10.77.0.1', ipv6: 'fd77::1', net1: '10.78.0.1', far: '192.0.2.2' } as const

/** Of a test's own: a TestNetns. */
export interface Namespace extends Disposable {
  /** Unique, and short enough for an interface. */
  readonly name: string
  ip(command: string): string
}

export interface Identity {
  readonly uid: number
  readonly gid: number
}
export const application: Identity = { uid: 5000, gid: 5000 }
export const root: Identity = { uid: 0, gid: 0 }

export interface Question {
  /** TCP unless told. */
  readonly protocol?: 'tcp' | 'udp'
  readonly as?: Identity
  readonly source?: string
  readonly sourcePort?: number
}

export class RedirectedPod implements Disposable {
  readonly pod: Namespace
  readonly outside: Namespace
  readonly #servers: ChildProcess[] = []

  /** Takes them over. */
  constructor(inner: Namespace, outer: Namespace) {
    this.pod = inner
    this.outside = outer
    try {
      this.#connect('eth0', [`${pod.ipv4}/24`, `${pod.ipv6}/64`], [`${outside.ipv4}/24`, `${outside.ipv6}/64`])
      this.#connect('net1', [`${pod.net1}/24`], [`${outside.net1}/24`])
      this.pod.ip(`route add default via ${outside.ipv4}`)
      this.pod.ip(`route add default via ${outside.ipv6}`)
      this.outside.ip(`address add ${outside.far}/32 dev lo`)
    } catch (error) {
      this[Symbol.dispose]()
      throw error
    }
  }

  /** In place of what was loaded before, as the agent does it. */
  load(redirection: Redirection): void {
    const table = redirectionTable(redirection)
    const name = `${table.family} ${table.name}`
    const renewal = `add table ${name}\ndelete table ${name}\nadd table ${name}\n`
    this.#run(this.pod, ['nft', '-f', '-'], renewal + textOfTable(table))
    for (const address of loopbackAddresses(redirection))
      this.pod.ip(`address replace ${formatCidr(address)} dev lo nodad`)
    const routing = redirectionRouting(redirection)
    if (routing === undefined) return
    for (const family of ['-4', '-6']) {
      const { mark, priority, table: routes } = routing
      this.pod.ip(`${family} rule add fwmark ${mark} lookup ${routes} priority ${priority}`)
      this.pod.ip(`${family} route replace local default dev lo table ${routes}`)
    }
  }

  /** Servers of `answer.pl`. They end with the fixture, or by the function that is returned. */
  async serve(where: Namespace, name: string, who: Identity, ports: readonly string[]): Promise<() => Promise<void>> {
    const command = ['netns', 'exec', where.name, ...asUser(who), 'perl', script('answer.pl'), name, ...ports]
    // A group of its own: it forks for every connection.
    const server = spawn('ip', command, { stdio: ['pipe', 'pipe', 'pipe'], detached: true })
    this.#servers.push(server)
    const ended = new Promise<void>((resolve) => void server.once('exit', () => resolve()))
    await new Promise<void>((resolve, reject) => {
      let errors = ''
      server.stderr.on('data', (chunk: Buffer) => void (errors += chunk.toString()))
      server.once('exit', () => reject(new Error(`${name} ended: ${errors}`)))
      server.stdout.once('data', () => resolve())
    })
    return async () => {
      server.stdin.end()
      await ended
    }
  }

  /** What is answered to who asks from inside the pod, by default the application. */
  ask(address: string, port: number, question: Question = {}): string {
    return this.#ask(this.pod, address, port, { as: application, ...question })
  }

  askFromOutside(address: string, port: number, question: Question = {}): string {
    return this.#ask(this.outside, address, port, question)
  }

  [Symbol.dispose](): void {
    for (const { pid } of this.#servers) if (pid !== undefined) killGroup(pid)
    this.pod[Symbol.dispose]()
    this.outside[Symbol.dispose]()
  }

  #ask(
    where: Namespace,
    address: string,
    port: number,
    { protocol = 'tcp', as = root, source, sourcePort }: Question,
  ): string {
    const from = source === undefined ? [] : [source, ...(sourcePort === undefined ? [] : [`${sourcePort}`])]
    return this.#run(where, [...asUser(as), 'perl', script('ask.pl'), protocol, address, `${port}`, ...from]).trim()
  }

  #run({ name }: Namespace, command: readonly string[], input = ''): string {
    return execFileSync('ip', ['netns', 'exec', name, ...command], { encoding: 'utf8', stdio: 'pipe', input })
  }

  #connect(device: string, inside: readonly string[], beyond: readonly string[]): void {
    const temporary = this.pod.name
    this.pod.ip(`link add ${device} type veth peer name ${temporary} netns ${this.outside.name}`)
    this.outside.ip(`link set ${temporary} name ${device} up`)
    this.pod.ip(`link set ${device} up`)
    for (const [netns, addresses] of [
      [this.pod, inside],
      [this.outside, beyond],
    ] as const)
      // prettier-ignore
      for (const address of addresses) netns.ip(`address add ${address} dev ${device}${address.includes(':') ? ' nodad' : ''}`)
  }
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // It has ended.
  }
}

function asUser({ uid, gid }: Identity): readonly string[] {
  return ['setpriv', '--reuid', `${uid}`, '--regid', `${gid}`, '--clear-groups']
}

function script(name: string): string {
  return join(import.meta.dirname, 'testdata', name)
}
