// The parts of an agent on a node of their own, in the test's process: requests in, answers out, no socket between.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Clock } from '../base/clock.ts'
import type { LogFields, Logger } from '../base/logger.ts'
import { unwrap } from '../base/result.ts'
import { configText, invocationOf } from '../cni/request.fixture.ts'
import { InsideNetns, TestNetns } from '../datapath/netns.fixture.ts'
import { ip4, testVnic } from '../datapath/plan.fixture.ts'
import { Journal } from '../ipam/journal.ts'
import { Attachments, type AttachmentsDependencies } from './attachments.ts'
import { type CniAnswer, handleInvocation } from './cni-handler.ts'
import { HostInterfaces } from './host-interfaces.ts'
import { NodeNetwork } from './node-network.ts'
import { RequestGate } from './request-gate.ts'
import { Tenants } from './tenants.ts'

/** Three addresses for pods. */
export const benchVnic = testVnic('pods', '02:00:17:00:00:02', ['10.0.4.9', '10.0.4.10', '10.0.4.11'], {
  primaryAddress: ip4('10.0.4.8'),
})

export interface Call {
  readonly container: string
  readonly netns?: string
  readonly ifname?: string
  readonly args?: string
  readonly config?: Readonly<Record<string, unknown>>
}

export class AgentBench implements AsyncDisposable {
  readonly node: TestNetns
  readonly network: NodeNetwork
  readonly journal: Journal
  readonly attachments: Attachments
  readonly gate = new RequestGate(8)
  readonly log: { readonly event: string; readonly fields: LogFields }[] = []
  /** Moved by hand. */
  nowMs = 1_000_000
  readonly clock: Clock = { nowMs: () => this.nowMs, monotonicMs: () => performance.now() }
  readonly #scope = new AsyncDisposableStack()

  constructor(makeAttachments = (deps: AttachmentsDependencies): Attachments => new Attachments(deps)) {
    const scope = this.#scope
    this.node = scope.use(new TestNetns())
    scope.use(new InsideNetns(this.node))
    this.node.ip('link set lo up')
    this.node.ip(`link add name ens5 mtu 9000 address ${benchVnic.mac} type veth peer name wire`)
    this.node.ip('link set wire up')
    const directory = mkdtempSync(join(tmpdir(), 'vcn-cni-agent-'))
    scope.defer(() => rmSync(directory, { recursive: true, force: true }))
    const { clock } = this
    const logger = this.#logger()
    this.journal = scope.use(unwrap(Journal.open(join(directory, 'journal.db'), { bootId: 'boot', clock, logger })))
    const tenants = new Tenants({ journal: this.journal, bootId: 'boot', clock, logger })
    this.network = scope.use(
      new NodeNetwork(tenants, { mtuBytes: 9000, fullCheckIntervalMs: 3_600_000, clock, logger }),
    )
    scope.defer(() => this.network.remover.settled())
    this.network.setVnics([benchVnic])
    this.attachments = makeAttachments({
      journal: this.journal,
      node: this.network,
      interfaces: new HostInterfaces(this.network.socket, 0),
      quarantined: tenants.quarantined,
      strategy: 'spread',
      cooldownMs: 30_000,
      mtuBytes: 9000,
      clock,
      logger,
    })
  }

  /** A pod's namespace, which lives as long as the bench. */
  makePod(): TestNetns {
    return this.#scope.use(new TestNetns())
  }

  /** One execution of the plugin. */
  async call(command: string, { container, netns, ifname = 'eth0', args, config }: Call): Promise<CniAnswer> {
    const env = {
      CNI_COMMAND: command,
      CNI_CONTAINERID: container,
      CNI_NETNS: netns,
      CNI_IFNAME: ifname,
      CNI_ARGS: args,
    }
    return await handleInvocation(invocationOf(env, configText(config)), this.#deps())
  }

  /** A request that is about no container. */
  async ask(command: string, config: Readonly<Record<string, unknown>> = {}): Promise<CniAnswer> {
    return await handleInvocation(invocationOf({ CNI_COMMAND: command }, configText(config)), this.#deps())
  }

  async raw(env: Readonly<Record<string, string>>, stdin: string): Promise<CniAnswer> {
    return await handleInvocation(invocationOf(env, stdin), this.#deps())
  }

  /** The attachments and their addresses, as the journal has them. */
  held(): readonly string[] {
    return this.journal
      .all()
      .flatMap((row) => (row.state === 'cooling' ? [] : [`${row.key.containerId} ${row.address} ${row.state}`]))
      .sort()
  }

  /** The node's interfaces for pods. */
  podLinks(): readonly string[] {
    return this.node.ipLines('-o link show').filter((line) => / oci[0-9a-f]{11}@/.test(line))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#scope.disposeAsync()
  }

  #deps(): Parameters<typeof handleInvocation>[1] {
    const { attachments, network: node, gate, clock } = this
    return { attachments, node, gate, clock, logger: this.#logger() }
  }

  #logger(): Logger {
    const note = (event: string, fields: LogFields = {}): void => void this.log.push({ event, fields })
    return { debug: note, info: note, warn: note, error: note }
  }
}

/** The error's code and sentence, or `undefined` for an answer without an error. */
export function errorOf({
  exitCode,
  stdout,
}: CniAnswer): { readonly code: unknown; readonly msg: unknown } | undefined {
  if (exitCode === 0) return undefined
  const error: unknown = JSON.parse(stdout)
  if (typeof error !== 'object' || error === null || !('code' in error) || !('msg' in error))
    throw new Error(`no CNI error: ${stdout}`)
  return { code: error.code, msg: error.msg }
}
