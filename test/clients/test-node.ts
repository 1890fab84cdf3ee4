// A node for tests: the agent of production, in a namespace of its own, with a VCN behind it. Everything goes with its
// scope. Nothing here knows how the agent works inside.
import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { stringify } from 'yaml'
import type { AgentStatus } from '../../src/agent/status.ts'
import { formatCidr } from '../../src/base/cidr.ts'
import { type Ipv4, parseIpv4 } from '../../src/base/ip.ts'
import { unwrap } from '../../src/base/result.ts'
import { fetchAgentStatus } from '../../src/cli/agent-client.ts'
import { vcnctlPath } from '../../src/cli/project-root.ts'
import { createNamedNetns, removeNamedNetns } from '../../src/linux/netns.ts'
import { makeNodeNamespaces, podVnic, primaryVnic, skipSourceCheck, type TestVnic, vnicOf } from './node-links.ts'
import { removeOrphans, unmountBelow } from './leftovers.ts'
import { Background, type Finished, inNetns, run } from './run-process.ts'

export interface TestNodeOptions {
  /** For pods: of the primary VNIC (10.0.0.0/24) or of ens5 (10.0.4.0/22). Without it: 10.0.4.10 to 10.0.4.25. */
  readonly addresses?: readonly string[]
  /** Puts Debian's portmap beside our executable, so that the agent takes it into the conflist. */
  readonly portmap?: boolean
  /** Fields of agent.yaml besides vnicsFile. */
  readonly config?: Readonly<Record<string, unknown>>
  /** The VCN delivers whatever the pods' VNIC sends, whoever owns the source address. */
  readonly skipSourceDestCheck?: boolean
  /** The whole of vnics.yaml, in place of what `addresses` would make. */
  readonly vnicsYaml?: string
  /** When everything but the agent is there: may put another configuration in place. */
  readonly beforeAgent?: (node: TestNode) => Promise<void>
}

export interface CniCall {
  readonly containerId: string
  /** Absent: CNI_NETNS is not set. */
  readonly netnsPath?: string
  /** eth0 */
  readonly ifname?: string
  /** CNI_ARGS. Without it: the pod `default/<containerId>`, as kubelet's runtimes say it. */
  readonly args?: string
  /** Laid over `{ cniVersion: '1.0.0', name: 'vcn-cni', type: 'vcn-cni' }`. */
  readonly config?: Readonly<Record<string, unknown>>
  /** Name of the executable in `binDirectory`. */
  readonly program?: string
}

export interface CniAnswer {
  readonly exitCode: number
  readonly stdout: string
  /** `stdout` as JSON; undefined when it is empty. */
  readonly json: unknown
}

/** Where Debian's containernetworking-plugins are. */
export const referencePlugins = '/usr/lib/cni'
/** Then the test's process id. */
const namePrefix = 'vct-'
const readyTimeoutMs = 20_000
const pollMs = 20

export class TestNode implements AsyncDisposable {
  readonly name = `${namePrefix}${process.pid}-${randomBytes(3).toString('hex')}`
  /** Everything on disk lies in here. */
  readonly directory = mkdtempSync(join(tmpdir(), `${this.name}-`))
  readonly netns = `${this.name}-node`
  readonly netnsPath = `/run/netns/${this.netns}`
  /** The VCN's side: 10.0.0.1 and 10.0.4.1. */
  readonly vcnNetnsPath = `/run/netns/${this.name}-vcn`
  readonly nodeAddress = primaryVnic.primaryAddress
  readonly stateDirectory = join(this.directory, 'state')
  readonly socketPath = join(this.directory, 'agent.sock')
  readonly binDirectory = join(this.directory, 'bin')
  readonly confDirectory = join(this.directory, 'net.d')
  readonly conflistPath = join(this.confDirectory, '10-vcn-cni.conflist')
  readonly configPath = join(this.directory, 'agent.yaml')
  readonly vnicsPath = join(this.directory, 'vnics.yaml')
  readonly logPath = join(this.directory, 'agent.log')
  readonly #namespaces = [this.netns, `${this.name}-vcn`]
  #agent: Background | undefined

  private constructor() {
    mkdirSync(this.binDirectory)
  }

  /** Returns when the node can serve pods. On failure everything is removed, and the error shows the agent's log. */
  static async start(options: TestNodeOptions = {}): Promise<TestNode> {
    await removeOrphans(namePrefix)
    const node = new TestNode()
    try {
      const addresses = (options.addresses ?? defaultAddresses).map((text) => unwrap(parseIpv4(text)))
      makeNodeNamespaces(node.netns, `${node.name}-vcn`, addresses)
      if (options.skipSourceDestCheck === true) skipSourceCheck(node.vcnNetnsPath)
      writeFileSync(node.vnicsPath, options.vnicsYaml ?? renderVnics(addresses))
      writeFileSync(node.configPath, stringify({ logLevel: 'debug', ...options.config, vnicsFile: node.vnicsPath }))
      if (options.portmap === true) node.addReferencePlugins('portmap')
      await options.beforeAgent?.(node)
      await node.startAgent()
      return node
    } catch (error) {
      await node[Symbol.asyncDispose]()
      throw error
    }
  }

  get agentPid(): number {
    if (this.#agent === undefined) throw new Error('the agent is not running')
    return this.#agent.pid
  }

  /** Also after `stopAgent` and `killAgent`: journal, configuration and interfaces are as they were left. */
  async startAgent(): Promise<void> {
    if (this.#agent?.hasEnded === false) throw new Error('the agent is running already')
    const argv = [vcnctlPath, 'agent', ...this.#agentFlags()]
    this.#agent = await Background.start(inNetns(this.netnsPath, argv), this.logPath)
    const deadlineMs = performance.now() + readyTimeoutMs
    while (!(await this.#isReady())) {
      if (this.#agent.hasEnded) throw new Error(`the agent ended\n${this.#logTail()}`)
      if (performance.now() > deadlineMs) throw new Error(`the agent does not get ready\n${this.#logTail()}`)
      await delay(pollMs)
    }
  }

  /** SIGTERM. Returns the exit code. */
  async stopAgent(): Promise<number | null> {
    const code = (await this.#agent?.end('SIGTERM')) ?? null
    this.#agent = undefined
    return code
  }

  /** SIGKILL. */
  async killAgent(): Promise<void> {
    await this.#agent?.end('SIGKILL')
    this.#agent = undefined
  }

  /** JSON lines of all agents of this node, the first one's first. */
  agentLog(): string {
    return existsSync(this.logPath) ? readFileSync(this.logPath, 'utf8') : ''
  }

  async status(): Promise<AgentStatus> {
    return await fetchAgentStatus(this.socketPath, AbortSignal.timeout(10_000))
  }

  /** One execution of our executable, as a container runtime does it. */
  async cni(command: string, call: CniCall): Promise<CniAnswer> {
    const { containerId, netnsPath, ifname = 'eth0', program = 'vcn-cni', config } = call
    const args = call.args ?? `IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=${containerId}`
    const env = {
      CNI_COMMAND: command,
      CNI_CONTAINERID: containerId,
      CNI_IFNAME: ifname,
      CNI_PATH: this.binDirectory,
      ...(netnsPath !== undefined && { CNI_NETNS: netnsPath }),
      ...(args !== '' && { CNI_ARGS: args }),
    }
    return await this.execute(program, env, JSON.stringify({ ...defaultConfig, ...config }))
  }

  /** A program of `binDirectory` with exactly these variables and this input, in the node's namespace. */
  async execute(program: string, env: Readonly<Record<string, string>>, stdin: string): Promise<CniAnswer> {
    const { code, stdout } = await run(inNetns(this.netnsPath, [join(this.binDirectory, program)]), {
      env: { PATH: process.env['PATH'] ?? '', ...env },
      stdin,
      timeoutMs: 60_000,
    })
    return { exitCode: code, stdout, json: parseJson(stdout) }
  }

  /** Makes a namespace as a container runtime would: empty, loopback down. Returns its path. */
  addPodNetns(): string {
    const name = `${this.name}-p${this.#namespaces.length - 1}`
    this.#namespaces.push(name)
    return createNamedNetns(name)
  }

  removePodNetns(path: string): void {
    removeNamedNetns(path.slice(path.lastIndexOf('/') + 1))
  }

  /** Runs a command to its end in any network namespace. */
  async exec(netnsPath: string, argv: readonly string[], stdin = ''): Promise<Finished> {
    return await run(inNetns(netnsPath, argv), { stdin })
  }

  addReferencePlugins(...names: readonly string[]): void {
    for (const name of names) symlinkSync(join(referencePlugins, name), join(this.binDirectory, name))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#agent?.end('SIGTERM')
    for (const name of this.#namespaces) removeNamedNetns(name)
    await unmountBelow(this.directory)
    rmSync(this.directory, { recursive: true, force: true })
  }

  #agentFlags(): readonly string[] {
    return [
      ...['--node-name', this.name, '--state-dir', this.stateDirectory, '--socket', this.socketPath],
      ...['--cni-bin-dir', this.binDirectory, '--cni-conf-dir', this.confDirectory, '--config', this.configPath],
    ]
  }

  // The conflist comes after the socket, and never on a node without addresses for pods.
  async #isReady(): Promise<boolean> {
    if (!existsSync(this.socketPath)) return false
    const status = await this.status().catch(() => undefined)
    if (status === undefined) return false
    return existsSync(this.conflistPath) || status.vnics.every(({ total }) => total === 0)
  }

  #logTail(): string {
    return this.agentLog().split('\n').slice(-20).join('\n')
  }
}

const defaultConfig = { cniVersion: '1.0.0', name: 'vcn-cni', type: 'vcn-cni' }
const defaultAddresses = Array.from({ length: 16 }, (_, index) => `10.0.4.${10 + index}`)

function renderVnics(addresses: readonly Ipv4[]): string {
  return stringify({
    vnics: [
      { id: 'primary', primary: true, ...renderVnic(primaryVnic, addresses) },
      { id: 'pods', ...renderVnic(podVnic, addresses) },
    ],
  })
}

function renderVnic(vnic: TestVnic, addresses: readonly Ipv4[]): Readonly<Record<string, unknown>> {
  const { mac, subnetCidr, routerIp, primaryAddress } = vnic
  const own = addresses.filter((address) => vnicOf(address) === vnic)
  return { mac, subnetCidr: formatCidr(subnetCidr), routerIp, primaryAddress, addresses: own }
}

function parseJson(text: string): unknown {
  if (text === '') return undefined
  try {
    return JSON.parse(text)
  } catch {
    throw new Error(`not JSON: ${text}`)
  }
}
