// A client, a node that translates, and two endpoints, each in a namespace of its own, with real packets between them.
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process'
import { rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { TestNetns, uniqueName } from './test-netns.fixture.ts'

const oneFamily = [
  {
    client: '10.0.0.1/24',
    toClient: '10.0.0.254/24',
    toEndpoints: '10.1.0.254/24',
    endpoints: ['10.1.0.2/24', '10.1.0.3/24'],
  },
  {
    client: 'fd00::1/64',
    toClient: 'fd00::fe/64',
    toEndpoints: 'fd00:1::fe/64',
    endpoints: ['fd00:1::2/64', 'fd00:1::3/64'],
  },
] as const

/** The client is 10.0.0.1 and fd00::1; endpoints are 10.1.0.2, 10.1.0.3, fd00:1::2 and fd00:1::3; the node routes. */
export class NatFlows implements Disposable {
  readonly client = new TestNetns()
  readonly node = new TestNetns()
  readonly endpoints = new TestNetns()
  readonly #servers: ChildProcess[] = []

  constructor() {
    this.#connect(this.client, 'c')
    this.#connect(this.endpoints, 'e')
    for (const { client, toClient, toEndpoints, endpoints } of oneFamily) {
      const nodad = client.includes(':') ? ' nodad' : ''
      this.client.ip(`address add ${client} dev c${nodad}`)
      this.node.ip(`address add ${toClient} dev c${nodad}`)
      this.node.ip(`address add ${toEndpoints} dev e${nodad}`)
      for (const address of endpoints) this.endpoints.ip(`address add ${address} dev e${nodad}`)
      this.client.ip(`route add default via ${toClient.split('/')[0]}`)
      this.endpoints.ip(`route add default via ${toEndpoints.split('/')[0]}`)
    }
    this.run(this.node, 'sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1')
  }

  /** A command in one of the namespaces; words are separated by single spaces. */
  run({ name }: TestNetns, command: string, input = ''): string {
    return execFileSync('ip', ['netns', 'exec', name, ...command.split(' ')], {
      encoding: 'utf8',
      stdio: 'pipe',
      input,
    })
  }

  nft(commands: string): void {
    this.run(this.node, 'nft -f /dev/stdin', commands)
  }

  conntrack(options: string): string {
    return this.run(this.node, `conntrack ${options}`)
  }

  /** Entries of UDP flows from as many clients to 10.8.0.1. */
  insertFlows(count: number): void {
    const file = join(tmpdir(), uniqueName())
    const rest = '-d 10.8.0.1 --sport 1 --dport 2 -t 300'
    const lines = Array.from({ length: count }, (_, index) => `-I -p udp -s 10.9.${index >> 8}.${index & 255} ${rest}`)
    writeFileSync(file, `${lines.join('\n')}\n`)
    try {
      this.conntrack(`-R ${file}`)
    } finally {
      rmSync(file)
    }
  }

  /** Answers every datagram with `answer`. */
  async serveUdp(address: string, port: number, answer: string): Promise<void> {
    const [protocol, bind] = address.includes(':') ? ['UDP6', `[${address}]`] : ['UDP4', address]
    await this.#serve(`${protocol}-RECVFROM:${port},bind=${bind},fork`, answer)
  }

  /** Sends `answer` to who connects, and closes. */
  async serveTcp(address: string, port: number, answer: string): Promise<void> {
    await this.#serve(`TCP4-LISTEN:${port},bind=${address},reuseaddr,fork`, answer)
  }

  /** What the client hears first; '' for a refusal, or for nothing in three seconds. */
  ask(protocol: 'UDP' | 'TCP', address: string, port: number, sourcePort: number): string {
    const options = protocol === 'UDP' ? ['-u', '-W', '1'] : []
    const nc = ['nc', '-w', '3', ...options, '-p', `${sourcePort}`, address, `${port}`]
    return spawnSync('ip', ['netns', 'exec', this.client.name, ...nc], {
      encoding: 'utf8',
      input: 'hello\n',
    }).stdout.trim()
  }

  [Symbol.dispose](): void {
    for (const server of this.#servers) server.kill('SIGKILL')
    for (const netns of this.#namespaces()) netns[Symbol.dispose]()
  }

  #namespaces(): readonly TestNetns[] {
    return [this.client, this.node, this.endpoints]
  }

  #connect(other: TestNetns, device: string): void {
    const temporary = uniqueName()
    other.ip(`link add ${device} type veth peer name ${temporary} netns ${this.node.name}`)
    this.node.ip(`link set ${temporary} name ${device} up`)
    other.ip(`link set ${device} up`)
  }

  async #serve(listen: string, answer: string): Promise<void> {
    // Who answers without reading may be gone when socat hands over the question; then the answer is lost.
    const answering = `SYSTEM:read question && echo ${answer}`
    const socat = ['netns', 'exec', this.endpoints.name, 'socat', '-d', '-d', '-d', listen, answering]
    const server = spawn('ip', socat, { stdio: ['ignore', 'ignore', 'pipe'] })
    this.#servers.push(server)
    let log = ''
    // It tells its first steps, up to waiting for somebody; what comes later is read so that it does not block.
    await new Promise<void>((resolve, reject) => {
      server.once('exit', () => reject(new Error(`socat ended: ${log}`)))
      server.stderr.on('data', (chunk: Buffer) => {
        log += chunk.toString()
        if (/listening on|receiving on/.test(log)) resolve()
      })
    })
  }
}
