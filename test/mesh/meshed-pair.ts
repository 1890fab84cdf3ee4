// Two pods' namespaces with a wire between them, the redirection as vcn-mesh loads it, and sidecars as processes.
import { type ChildProcess, execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'vitest'
import { formatCidr } from '../../src/base/cidr.ts'
import { type Ipv4, parseIpv4 } from '../../src/base/ip.ts'
import { unwrap } from '../../src/base/result.ts'
import { connectIn } from '../../src/linux/tcp-attempt.ts'
import { TestNetns } from '../../src/linux/test-netns.fixture.ts'
import { istioPod, linkerdPod, redirectionOf } from '../../src/mesh/redirections.fixture.ts'
import { loopbackAddresses } from '../../src/mesh/redirection-routes.ts'
import { redirectionTable } from '../../src/mesh/redirection-table.ts'
import { textOfTable } from '../../src/nftables/golden-table.fixture.ts'
import { spawnInNetns } from '../../src/lab/netns-process.ts'
import { listenIn } from '../../src/lab/netns-socket.ts'
import { ensureAuthority, issueIdentity } from '../../src/lab/sidecar/certificates.ts'
import type { ConnectionRecord } from '../../src/lab/sidecar/connection-log.ts'
import { writePeers } from '../../src/lab/sidecar/peers.ts'
import { conventions, type SidecarProfile } from '../../src/lab/sidecar/profile.ts'

const vcnctl = `${import.meta.dirname}/../../bin/vcnctl`
const patience = { timeout: 10_000, interval: 20 }

export interface PodOptions {
  readonly profile?: SidecarProfile
  /** Its certificate is of another authority; it trusts the pair’s. */
  readonly isForeign?: boolean
  readonly isStrict?: boolean
  /** Does not encrypt. */
  readonly isPlain?: boolean
}

/** A pod with its sidecar. */
export class MeshedPod implements AsyncDisposable {
  readonly netns = new TestNetns()
  readonly address: Ipv4
  readonly records: ConnectionRecord[] = []
  readonly #servers: net.Server[] = []
  #sidecar: ChildProcess | undefined

  constructor(address: string) {
    this.address = unwrap(parseIpv4(address))
  }

  redirect(profile: SidecarProfile): void {
    const redirection = redirectionOf(profile === 'istio' ? istioPod() : linkerdPod())
    const table = redirectionTable(redirection)
    const input = `add table ${table.family} ${table.name}\n${textOfTable(table)}`
    execFileSync('ip', ['netns', 'exec', this.netns.name, 'nft', '-f', '-'], { input, stdio: 'pipe' })
    for (const address of loopbackAddresses(redirection))
      this.netns.ip(`address replace ${formatCidr(address)} dev lo nodad`)
  }

  async startSidecar(profile: SidecarProfile, flags: readonly string[]): Promise<void> {
    const command = [vcnctl, 'lab', 'sidecar', '--profile', profile, ...flags]
    const sidecar = spawnInNetns(this.netns.name, command, { stdio: ['ignore', 'pipe', 'inherit'] })
    this.#sidecar = sidecar
    let text = ''
    sidecar.stdout?.on('data', (chunk: Buffer) => {
      const lines = `${text}${chunk.toString()}`.split('\n')
      text = lines.pop() ?? ''
      for (const line of lines) this.records.push(JSON.parse(line) as ConnectionRecord)
    })
    const { inboundPort } = conventions[profile]
    const listening = `:${inboundPort.toString(16).toUpperCase()} `
    const sockets = (): string =>
      execFileSync('ip', ['netns', 'exec', this.netns.name, 'cat', '/proc/net/tcp'], { encoding: 'utf8' })
    await expect.poll(sockets, patience).toContain(listening)
  }

  async stopSidecar(): Promise<void> {
    const sidecar = this.#sidecar
    if (sidecar === undefined || sidecar.exitCode !== null) return
    this.#sidecar = undefined
    const ended = once(sidecar, 'exit')
    sidecar.kill('SIGTERM')
    await ended
  }

  /** An application’s server, which belongs to no sidecar’s user. */
  async serve(port: number, answer: (socket: net.Socket) => void): Promise<void> {
    const server = net.createServer({ allowHalfOpen: true }, (socket) => {
      socket.on('error', () => undefined)
      answer(socket)
    })
    this.#servers.push(server)
    await listenIn(server, this.netns.fd, unwrap(parseIpv4('0.0.0.0')), port)
  }

  /** What comes back for a request after which the client ends its direction; the error’s code when it fails. */
  ask(to: string, port: number, request: string | Buffer): Promise<string> {
    const socket = connectIn(this.netns.fd, to, port)
    socket.allowHalfOpen = true
    return new Promise((resolve) => {
      const chunks: Buffer[] = []
      socket.on('connect', () => socket.end(request))
      socket.on('data', (chunk: Buffer) => chunks.push(chunk))
      socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
      socket.on('end', () => {
        resolve(Buffer.concat(chunks).toString('latin1'))
        socket.destroy()
      })
      socket.setTimeout(8_000, () => {
        resolve('timeout')
        socket.destroy()
      })
    })
  }

  async record(direction: ConnectionRecord['direction']): Promise<ConnectionRecord> {
    const found = (): ConnectionRecord | undefined => this.records.find((one) => one.direction === direction)
    await expect.poll(found, patience).toBeDefined()
    return found() as ConnectionRecord
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stopSidecar()
    for (const server of this.#servers) server.close()
    this.netns[Symbol.dispose]()
  }
}

export class MeshedPair implements AsyncDisposable {
  readonly client = new MeshedPod('10.66.0.1')
  readonly server = new MeshedPod('10.66.0.2')
  readonly directory = mkdtempSync(join(tmpdir(), 'vcnt-mesh-'))

  /** Both with sidecars, unless `server` is undefined: it has no redirection then. */
  static async start(client: PodOptions, server: PodOptions | undefined): Promise<MeshedPair> {
    const pair = new MeshedPair()
    try {
      // For the sidecars’ users.
      chmodSync(pair.directory, 0o755)
      pair.#connect()
      pair.tellPeers([pair.server.address])
      await ensureAuthority(pair.directory)
      const starting = [pair.#start(pair.client, 'client', client)]
      if (server !== undefined) starting.push(pair.#start(pair.server, 'server', server))
      await Promise.all(starting)
      return pair
    } catch (error) {
      await pair[Symbol.asyncDispose]()
      throw error
    }
  }

  tellPeers(addresses: readonly string[]): void {
    writePeers(this.#peersFile, addresses)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.client[Symbol.asyncDispose]()
    await this.server[Symbol.asyncDispose]()
    rmSync(this.directory, { recursive: true, force: true })
  }

  get #peersFile(): string {
    return join(this.directory, 'peers.json')
  }

  async #start(pod: MeshedPod, name: string, options: PodOptions): Promise<void> {
    const { profile = 'istio', isStrict = false, isPlain = false } = options
    pod.redirect(profile)
    const flags = isPlain ? [] : await this.#meshFlags(name, options)
    await pod.startSidecar(profile, isStrict ? [...flags, '--strict'] : flags)
  }

  async #meshFlags(name: string, { isForeign = false }: PodOptions): Promise<readonly string[]> {
    const { certificate: authority } = await ensureAuthority(this.directory)
    const directory = isForeign ? join(this.directory, 'foreign') : this.directory
    const { key, certificate } = await issueIdentity(directory, 'default', name)
    const identity = ['--key', key, '--certificate', certificate, '--authority', authority]
    return [...identity, '--peers', this.#peersFile]
  }

  #connect(): void {
    const { client, server } = this
    const temporary = client.netns.name
    client.netns.ip(`link add eth0 type veth peer name ${temporary} netns ${server.netns.name}`)
    server.netns.ip(`link set ${temporary} name eth0 up`)
    client.netns.ip('link set eth0 up')
    for (const [{ netns, address }, ipv6] of [
      [client, 'fd66::1'],
      [server, 'fd66::2'],
    ] as const) {
      netns.ip(`address add ${address}/24 dev eth0`)
      netns.ip(`address add ${ipv6}/64 dev eth0 nodad`)
    }
  }
}
