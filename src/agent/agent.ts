import { mkdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { formatAttachmentKey } from '../base/attachment.ts'
import type { Clock } from '../base/clock.ts'
import type { Logger } from '../base/logger.ts'
import { err, ok, type Result } from '../base/result.ts'
import type { Vnic } from '../base/vnic.ts'
import type { Invocation } from '../cni/invocation.ts'
import { type CniError, cniError } from '../cni/errors.ts'
import { parseRequest } from '../cni/request.ts'
import { observe } from '../datapath/observe.ts'
import { describeJournalOpenError } from '../ipam/journal-error.ts'
import { Journal } from '../ipam/journal.ts'
import { decodeLink, dumpLinks } from '../linux/netlink/link.ts'
import { Attachments } from './attachments.ts'
import { type CniAnswer, handleInvocation, warmUp } from './cni-handler.ts'
import type { AgentConfig, AgentPaths } from './config.ts'
import { type ControlSources, answerControl } from './control.ts'
import { type DeferredDel, forgetDeferredDel, readDeferredDels } from './deferred-dels.ts'
import { HostInterfaces } from './host-interfaces.ts'
import { readInputFile } from './input-files.ts'
import { announcePlugin, installPlugin } from './installation.ts'
import { NodeNetwork } from './node-network.ts'
import { viewNode } from './node-view.ts'
import { RequestGate } from './request-gate.ts'
import { AgentServer } from './server.ts'
import { Tenants } from './tenants.ts'
import { parseVnicsFile } from './vnics-file.ts'

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
  readonly #journal: Journal
  readonly #tenants: Tenants
  readonly #node: NodeNetwork
  readonly #attachments: Attachments
  readonly #gate: RequestGate
  #server: AgentServer | undefined
  #housekeeping: NodeJS.Timeout | undefined
  /** Whether the node has ever had a VNIC with addresses for pods. */
  #ready = false

  private constructor(options: AgentOptions, journal: Journal, bootId: string) {
    const { config, clock, logger } = options
    const { mtuBytes, fullCheckIntervalMs, strategy, cooldownMs, maxConcurrentRequests } = config
    this.#options = options
    this.#journal = journal
    this.#tenants = new Tenants({ journal, bootId, clock, logger })
    this.#node = new NodeNetwork(this.#tenants, { mtuBytes, fullCheckIntervalMs, clock, logger })
    this.#gate = new RequestGate(maxConcurrentRequests)
    const links = this.#node.socket.dump(dumpLinks(false), decodeLink)
    const highestIfindex = Math.max(0, ...links.map(({ ifindex }) => ifindex))
    this.#attachments = new Attachments({
      journal,
      node: this.#node,
      interfaces: new HostInterfaces(this.#node.socket, highestIfindex),
      quarantined: this.#tenants.quarantined,
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
    const vnics = readInputFile(config.vnicsFile, parseVnicsFile)
    if (!vnics.ok) return vnics
    mkdirSync(paths.stateDirectory, { recursive: true, mode: 0o700 })
    mkdirSync(dirname(paths.socketPath), { recursive: true, mode: 0o755 })
    const bootId = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
    const journal = Journal.open(join(paths.stateDirectory, journalFileName), { bootId, clock, logger })
    if (!journal.ok) return err(describeJournalOpenError(journal.error))
    const agent = new Agent(options, journal.value, bootId)
    const served = await agent.#serve(vnics.value)
    if (served.ok) return ok(agent)
    await agent[Symbol.asyncDispose]()
    return served
  }

  /** Reads the VNICs' file again; a file with errors changes nothing. */
  async reload(): Promise<void> {
    const { config, logger } = this.#options
    const vnics = readInputFile(config.vnicsFile, parseVnicsFile)
    if (!vnics.ok) {
      logger.error('vnics.unusable', { problem: vnics.error })
      return
    }
    try {
      this.#node.setVnics(vnics.value)
      await this.#announceWhenReady()
    } catch (error) {
      logger.error('reload.failed', { error })
    }
  }

  /** Stops serving after the requests under way are answered. Pods, their network and the conflist stay. */
  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#housekeeping)
    await this.#server?.[Symbol.asyncDispose]()
    await this.#node.remover.settled()
    this.#node[Symbol.dispose]()
    this.#journal[Symbol.dispose]()
    this.#options.logger.info('agent.stopped')
  }

  async #serve(vnics: readonly Vnic[]): Promise<Result<void, string>> {
    const { paths, config, logger } = this.#options
    const state = observe(this.#node.socket)
    const unfinished = this.#tenants.adopt(state, viewNode(vnics, state))
    this.#node.setVnics(vnics)
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
    await this.#announceWhenReady()
    this.#housekeeping = setInterval(() => void this.#keepHouse(), config.fullCheckIntervalMs)
    logger.info('agent.serving', { socket: paths.socketPath, vnics: vnics.map(({ id }) => id) })
    return ok(undefined)
  }

  #invoke(invocation: Invocation): Promise<CniAnswer> {
    const { clock, logger } = this.#options
    const deps = { attachments: this.#attachments, node: this.#node, gate: this.#gate, clock, logger }
    return handleInvocation(invocation, deps)
  }

  // Once the node was ready the conflist stays: a passing fault must not take the runtime's network away. It is looked
  // after at every full check, as somebody may delete it, and portmap may come later.
  async #announceWhenReady(): Promise<void> {
    this.#ready ||= this.#node.view.located.some(({ vnic }) => vnic.addresses.length > 0)
    if (this.#ready) await announcePlugin(this.#options.paths, this.#options.logger)
  }

  /** What no request and no notification brings about. */
  async #keepHouse(): Promise<void> {
    const { clock, logger } = this.#options
    try {
      await this.#replayDeferredDels()
      for (const row of this.#tenants.abandoned(observe(this.#node.socket))) {
        await this.#gate.run(formatAttachmentKey(row.key), () => this.#attachments.releaseUnchanged(row))
      }
      const onNode = new Set(this.#node.view.located.flatMap(({ vnic }) => vnic.addresses))
      this.#journal.prune(onNode, clock.nowMs())
      await this.#announceWhenReady()
    } catch (error) {
      logger.error('housekeeping.failed', { error })
    }
  }

  async #replayDeferredDels(): Promise<void> {
    const { paths, logger } = this.#options
    for (const deferred of await readDeferredDels(paths.stateDirectory, logger)) {
      const { path } = deferred
      const replayed = await this.#replay(deferred)
      if (replayed.ok) {
        await forgetDeferredDel(deferred)
        logger.info('deferred.replayed', { path, outcome: replayed.value })
      } else {
        logger.error('deferred.failed', { path, ...replayed.error })
      }
    }
  }

  async #replay({ invocation, deferredMs }: DeferredDel): Promise<Result<'deleted' | 'nothing to delete', CniError>> {
    const request = parseRequest(invocation)
    if (!request.ok) return request
    if (request.value.command !== 'DEL') return err(cniError('INVALID_ENVIRONMENT', 'CNI_COMMAND: is not DEL'))
    const { key } = request.value
    return await this.#gate.run(formatAttachmentKey(key), async () => {
      const row = this.#journal.find(key)
      // The same container may have been attached again since: that is not what this DEL was for.
      if (row === undefined || row.createdMs > deferredMs) return ok('nothing to delete')
      const released = await this.#attachments.release(row)
      return released.ok ? ok('deleted') : released
    })
  }

  #controlSources(): ControlSources {
    const { paths } = this.#options
    return { nodeName: paths.nodeName, node: this.#node, journal: this.#journal, pool: this.#attachments.pool() }
  }
}
