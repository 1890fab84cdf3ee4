import { mkdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { formatAttachmentKey } from '../base/attachment.ts'
import type { Clock } from '../base/clock.ts'
import type { Logger } from '../base/logger.ts'
import { err, ok, type Result } from '../base/result.ts'
import type { Vnic } from '../base/vnic.ts'
import type { Invocation } from '../cni/invocation.ts'
import { observe } from '../datapath/observe.ts'
import { usage } from '../ipam/address-pool.ts'
import { describeJournalOpenError } from '../ipam/journal-error.ts'
import { Journal } from '../ipam/journal.ts'
import { decodeLink, dumpLinks } from '../linux/netlink/link.ts'
import type { AddressSource } from './address-source.ts'
import { Attachments, guardedInterface } from './attachments.ts'
import { type CniAnswer, handleInvocation, warmUp } from './cni-handler.ts'
import type { AgentConfig, AgentPaths } from './config.ts'
import { type ControlSources, answerControl } from './control.ts'
import { replayDeferredDels } from './deferred-replay.ts'
import { HostInterfaces } from './host-interfaces.ts'
import { announcePlugin, installPlugin, meshExecutableName } from './installation.ts'
import { interfaceAddresses } from './interface-addresses.ts'
import { MeshHandler } from './mesh/mesh-handler.ts'
import { NodeNetwork } from './node-network.ts'
import { viewNode } from './node-view.ts'
import { openSource } from './open-source.ts'
import { removeLeftoverPolicy } from './policy/leftover-table.ts'
import { ReplyRouting } from './reply-routing.ts'
import { RequestGate } from './request-gate.ts'
import { AgentServer } from './server.ts'
import { Tenants } from './tenants.ts'
import { vnicWarnings } from './vnic-warnings.ts'

export interface AgentOptions {
  readonly paths: AgentPaths
  readonly config: AgentConfig
  readonly clock: Clock
  readonly logger: Logger
}

export const journalFileName = 'journal.db'

/** The node's agent, from start to stop. See ARCHITECTURE.md for the walk of an ADD through it. */
export class Agent implements AsyncDisposable {
  readonly #options: AgentOptions
  readonly #source: AddressSource
  readonly #journal: Journal
  readonly #tenants: Tenants
  readonly #node: NodeNetwork
  readonly #replies: ReplyRouting
  readonly #attachments: Attachments
  readonly #gate: RequestGate
  readonly #mesh: MeshHandler
  #server: AgentServer | undefined
  #housekeeping: NodeJS.Timeout | undefined
  /** The socket listens and the executable is there. */
  #isServing = false
  /** Whether the node has ever had a VNIC with addresses for pods. */
  #ready = false
  /** The conflist is there. */
  #isAnnounced = false
  #announcing: Promise<void> = Promise.resolve()
  #vnics: readonly Vnic[] | undefined
  #strayed: ReadonlySet<string> = new Set()

  private constructor(options: AgentOptions, source: AddressSource, journal: Journal, bootId: string) {
    const { config, clock, logger } = options
    const { mtuBytes, fullCheckIntervalMs, strategy, cooldownMs, maxConcurrentRequests, nodePortSupport } = config
    this.#options = options
    this.#source = source
    this.#journal = journal
    this.#tenants = new Tenants({ journal, bootId, clock, logger })
    const onReconciled = (): void => this.#nodeChanged()
    this.#node = new NodeNetwork(this.#tenants, { mtuBytes, fullCheckIntervalMs, onReconciled, clock, logger })
    this.#replies = new ReplyRouting({ isWanted: nodePortSupport, logger })
    this.#gate = new RequestGate(maxConcurrentRequests)
    const { cniConfDirectory } = options.paths
    this.#mesh = new MeshHandler({ mesh: source.mesh, cniConfDirectory, clock, logger })
    const links = this.#node.socket.dump(dumpLinks(false), decodeLink)
    const highestIfindex = Math.max(0, ...links.map(({ ifindex }) => ifindex))
    this.#attachments = new Attachments({
      journal,
      node: this.#node,
      interfaces: new HostInterfaces(this.#node.socket, highestIfindex),
      quarantined: this.#tenants.quarantined,
      releasing: () => source.releasing(),
      guard: source.guard,
      strategy,
      cooldownMs,
      mtuBytes,
      clock,
      logger,
    })
  }

  /** Adopts what exists, finishes what an earlier agent began, and serves. Must run in the node's namespace. */
  static async start(options: AgentOptions): Promise<Result<Agent, string>> {
    const { paths, config, clock, logger } = options
    await using undo = new AsyncDisposableStack()
    mkdirSync(paths.stateDirectory, { recursive: true, mode: 0o700 })
    mkdirSync(dirname(paths.socketPath), { recursive: true, mode: 0o755 })
    const bootId = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
    const journal = Journal.open(join(paths.stateDirectory, journalFileName), { bootId, clock, logger })
    if (!journal.ok) return err(describeJournalOpenError(journal.error))
    undo.use(journal.value)
    // After the journal, whose lock keeps a second agent off the other files, too.
    const source = await openSource(config, paths, logger)
    if (!source.ok) return source
    undo.use(source.value)
    const removed = source.value.guard === undefined ? await removeLeftoverPolicy(logger) : ok(undefined)
    if (!removed.ok) return removed
    const agent = new Agent(options, source.value, journal.value, bootId)
    undo.move()
    const served = await agent.#serve()
    if (served.ok) return ok(agent)
    await agent[Symbol.asyncDispose]()
    return served
  }

  /** Has the source of addresses look again; where it finds errors nothing changes. */
  async reload(): Promise<void> {
    try {
      this.#source.reload()
      await this.#announceWhenReady()
    } catch (error) {
      this.#options.logger.error('reload.failed', { error })
    }
  }

  /** Stops serving after the requests under way are answered. Pods, their network and the conflist stay. */
  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#housekeeping)
    this.#isServing = false
    await this.#announcing
    await this.#source[Symbol.asyncDispose]()
    await this.#server?.[Symbol.asyncDispose]()
    await this.#node.remover.settled()
    this.#node[Symbol.dispose]()
    await this.#replies[Symbol.asyncDispose]()
    this.#journal[Symbol.dispose]()
    this.#options.logger.info('agent.stopped')
  }

  async #serve(): Promise<Result<void, string>> {
    const { paths, config, logger } = this.#options
    const state = observe(this.#node.socket)
    const vnics = this.#source.vnics(state)
    const unfinished = this.#tenants.adopt(state, viewNode(vnics ?? [], state))
    if (vnics !== undefined) this.#setVnics(vnics)
    for (const row of unfinished) await this.#attachments.release(row)
    await this.#replayDeferredDels()
    const service = {
      invoke: (invocation: Invocation) => this.#invoke(invocation),
      control: (question: unknown) => answerControl(question, this.#controlSources()),
    }
    warmUp()
    const server = await AgentServer.listen(paths.socketPath, service, logger)
    if (!server.ok) return server
    this.#server = server.value
    // Those that came while the first ones were replayed: from here on the executable reaches us.
    await this.#replayDeferredDels()
    await installPlugin(paths, logger)
    this.#isServing = true
    this.#source.serve({
      sourceChanged: () => this.#followSource(),
      uses: () => this.#journal.view(this.#options.clock.nowMs()),
      interfaces: () => this.#journal.held().map(guardedInterface),
      addressesOnInterfaces: () => interfaceAddresses(observe(this.#node.socket)),
      isReadyForPods: () => this.#isReadyForPods(),
    })
    // What the source learned while nobody was told.
    this.#followSource()
    await this.#announceWhenReady()
    this.#housekeeping = setInterval(() => void this.#keepHouse(), config.fullCheckIntervalMs)
    logger.info('agent.serving', { socket: paths.socketPath, vnics: this.#vnics?.map(({ id }) => id) })
    return ok(undefined)
  }

  async #invoke(invocation: Invocation): Promise<CniAnswer> {
    if (invocation.program === meshExecutableName) return await this.#mesh.handle(invocation)
    const { clock, logger } = this.#options
    const unavailable = this.#unavailable()
    const deps = { attachments: this.#attachments, node: this.#node, gate: this.#gate, unavailable, clock, logger }
    const answered = await handleInvocation(invocation, deps)
    this.#source.poke()
    return answered
  }

  #unavailable(): string | undefined {
    const refusal = this.#source.guard?.refusal
    if (refusal !== undefined) return refusal
    return this.#vnics === undefined ? 'nobody has told yet which addresses this node has' : undefined
  }

  // The callers have no remedy for an exception: the next change, or the next housekeeping, tries again.
  #followSource(): void {
    try {
      const vnics = this.#source.vnics(observe(this.#node.socket))
      if (vnics === undefined || isDeepStrictEqual(vnics, this.#vnics)) return
      this.#setVnics(vnics)
    } catch (error) {
      this.#options.logger.error('source.failed', { error })
    }
  }

  #setVnics(vnics: readonly Vnic[]): void {
    this.#vnics = vnics
    this.#node.setVnics(vnics)
    const { strayed } = usage(this.#attachments.pool())
    for (const address of strayed) {
      if (!this.#strayed.has(address)) this.#options.logger.warn('pod.strayed', { address })
    }
    this.#strayed = new Set(strayed)
  }

  #nodeChanged(): void {
    this.#source.poke()
    void this.#replies.follow(this.#node.vnicPlan)
    if (this.#isAnnounced) return
    this.#announceWhenReady().catch((error: unknown) => this.#options.logger.error('announce.failed', { error }))
  }

  #isReadyForPods(): boolean {
    if (!this.#isServing || !this.#isAnnounced || this.#node.problems.length > 0) return false
    if (this.#source.guard?.isReady === false) return false
    return usage(this.#attachments.pool()).vnics.some(({ free }) => free > 0)
  }

  // Once the node was ready the conflist stays: a passing fault must not take the runtime's network away. It is looked
  // after at every full check, as somebody may delete it, and portmap may come later.
  // One after the other: whoever writes the file takes what another left half-written for a leftover.
  #announceWhenReady(): Promise<void> {
    const announced = this.#announcing.then(() => this.#announce())
    this.#announcing = announced.catch(() => undefined)
    return announced
  }

  async #announce(): Promise<void> {
    if (!this.#isServing) return
    this.#ready ||= this.#node.view.located.some(({ vnic }) => vnic.addresses.length > 0)
    if (!this.#ready) return
    const { paths, logger } = this.#options
    await announcePlugin(paths, { mesh: this.#source.mesh !== undefined }, logger)
    if (this.#isAnnounced) return
    this.#isAnnounced = true
    this.#source.poke()
  }

  /** What no request and no notification brings about. */
  async #keepHouse(): Promise<void> {
    const { clock, logger } = this.#options
    try {
      await this.#replayDeferredDels()
      for (const row of this.#tenants.abandoned(observe(this.#node.socket))) {
        await this.#gate.run(formatAttachmentKey(row.key), () => this.#attachments.releaseUnchanged(row))
      }
      this.#followSource()
      const onNode = new Set(this.#node.view.located.flatMap(({ vnic }) => vnic.addresses))
      this.#journal.prune(onNode, clock.nowMs())
      await this.#announceWhenReady()
      this.#source.poke()
    } catch (error) {
      logger.error('housekeeping.failed', { error })
    }
  }

  #replayDeferredDels(): Promise<void> {
    const { paths, logger } = this.#options
    const deps = { attachments: this.#attachments, journal: this.#journal, gate: this.#gate, logger }
    return replayDeferredDels(paths.stateDirectory, deps)
  }

  #controlSources(): ControlSources {
    const { paths, config } = this.#options
    return {
      nodeName: paths.nodeName,
      node: this.#node,
      journal: this.#journal,
      pool: this.#attachments.pool(),
      source: this.#source,
      mesh: this.#mesh,
      warnings: [...this.#replies.warnings, ...vnicWarnings(config, this.#node.view.located)],
      unavailable: this.#unavailable(),
    }
  }
}
