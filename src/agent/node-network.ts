import type { Clock } from '../base/clock.ts'
import type { Logger } from '../base/logger.ts'
import type { Vnic } from '../base/vnic.ts'
import { apply, describeOperation } from '../datapath/apply.ts'
import { diff } from '../datapath/diff.ts'
import { isHostIfname } from '../datapath/host-ifname.ts'
import { routingProtocol } from '../datapath/layout.ts'
import { LinkRemover } from '../datapath/link-removal.ts'
import { observe } from '../datapath/observe.ts'
import { planHostSide, type PodAttachment } from '../datapath/pod-plan.ts'
import { emptyPlan, mergePlans, type NetnsPlan, type NetnsState } from '../datapath/state.ts'
import { planVnics } from '../datapath/vnic-plan.ts'
import type { Link } from '../linux/netlink/link.ts'
import { NetlinkMonitor, type NetworkChange } from '../linux/netlink/monitor.ts'
import { NetlinkSocket } from '../linux/netlink/socket.ts'
import { ensureSysctl } from '../linux/sysctl.ts'
import { type NodeView, unseenNode, viewNode } from './node-view.ts'

export interface NodeNetworkOptions {
  readonly mtuBytes: number
  readonly fullCheckIntervalMs: number
  /** After each comparison. */
  readonly onReconciled?: () => void
  readonly clock: Clock
  readonly logger: Logger
}

/** What the node network asks of its owner: which pods there should be, given what the kernel has. */
export interface NodeTenants {
  attachedPods(state: NetnsState, view: NodeView): readonly PodAttachment[]
  /** Interfaces that are not understood, whose routes are to stay as they are. */
  sparedInterfaces(): ReadonlySet<number>
}

/** Changes come in bursts: one look at the kernel serves all that arrive within this time. */
const settleMs = 20
/** The first comparison of a node sets a route for every address. */
const loggedOperations = 20

/**
 * The node's own side of the datapath, kept as planned: VNICs, tables, rules, and the pods' routes. Repaired when a
 * notification says that something of ours was changed, and compared in full at an interval.
 */
export class NodeNetwork implements Disposable {
  readonly socket = new NetlinkSocket()
  readonly remover = new LinkRemover(this.socket)
  readonly #options: NodeNetworkOptions
  readonly #tenants: NodeTenants
  readonly #monitor: NetlinkMonitor
  readonly #interval: NodeJS.Timeout
  #settling: NodeJS.Timeout | undefined
  /** Undefined: nobody has told them yet, and nothing may be taken for superfluous. */
  #vnics: readonly Vnic[] | undefined
  #view = unseenNode
  #vnicPlan: NetnsPlan = planVnics([], 0)
  #problems: readonly string[] = ['the node has not been looked at yet']

  /** Works in the calling thread's namespace, the node's. */
  constructor(tenants: NodeTenants, options: NodeNetworkOptions) {
    this.#tenants = tenants
    this.#options = options
    ensureSysctl('net/ipv4/ip_forward', '1')
    this.#monitor = new NetlinkMonitor((change) => this.#notice(change))
    this.#interval = setInterval(() => this.#reconcileOrComplain(), options.fullCheckIntervalMs)
    this.#interval.unref()
  }

  get view(): NodeView {
    return this.#view
  }

  /** Rules and routes that CHECK expects beside the pod's own. */
  get vnicPlan(): NetnsPlan {
    return this.#vnicPlan
  }

  /** Why the last comparison did not end with everything in place; empty when it did. */
  get problems(): readonly string[] {
    return this.#problems
  }

  setVnics(vnics: readonly Vnic[]): void {
    this.#vnics = vnics
    this.reconcile()
  }

  /** Observes, plans, compares and repairs, at once. */
  reconcile(): void {
    if (this.#vnics === undefined) return
    const { logger, mtuBytes, clock, onReconciled } = this.#options
    const startMs = clock.monotonicMs()
    const state = observe(this.socket)
    this.#view = viewNode(this.#vnics, state)
    this.#vnicPlan = planVnics(this.#view.located, mtuBytes, this.#view.missing)
    const pods = this.#tenants.attachedPods(state, this.#view)
    const spared = this.#tenants.sparedInterfaces()
    const sparedRoutes = { ...emptyPlan, routes: state.routes.filter(({ ifindex }) => spared.has(ifindex)) }
    const operations = diff(mergePlans([this.#vnicPlan, ...pods.map(planHostSide), sparedRoutes]), state)
    const applied = apply(operations, this.socket)
    const failures = applied.ok ? [] : applied.error.map(({ operation, error }) => `${operation}: ${error.message}`)
    this.#problems = [
      ...this.#view.missing.map(({ id, mac }) => `VNIC ${id}: no interface has MAC ${mac}`),
      ...failures,
    ]
    if (operations.length > 0) {
      const elapsedMs = clock.monotonicMs() - startMs
      logger.info('node.repaired', {
        count: operations.length,
        operations: operations.slice(0, loggedOperations).map((operation) => describeOperation(operation)),
        elapsedMs,
      })
    }
    if (this.#problems.length > 0) logger.warn('node.incomplete', { problems: this.#problems })
    onReconciled?.()
  }

  [Symbol.dispose](): void {
    clearInterval(this.#interval)
    clearTimeout(this.#settling)
    this.#monitor[Symbol.dispose]()
    this.socket[Symbol.dispose]()
  }

  #notice(change: NetworkChange): void {
    if (change.kind === 'link.deleted') this.remover.noticeDeleted(change.link.ifindex)
    if (!this.#concernsUs(change)) return
    this.#settling ??= setTimeout(() => {
      this.#settling = undefined
      this.#reconcileOrComplain()
    }, settleMs)
  }

  // Out of a timer an exception would end the process. What fails now, such as a dump, may work the next time.
  #reconcileOrComplain(): void {
    try {
      this.reconcile()
    } catch (error) {
      this.#problems = [`the node could not be looked at: ${error instanceof Error ? error.message : String(error)}`]
      this.#options.logger.error('node.failed', { error })
    }
  }

  #concernsUs(change: NetworkChange): boolean {
    switch (change.kind) {
      case 'lost':
        return true
      case 'rule.deleted':
        return change.rule.protocol === routingProtocol
      case 'route.deleted':
        return change.route.protocol === routingProtocol
      case 'address.set':
      case 'address.deleted':
        return this.#view.located.some(({ link }) => link.ifindex === change.address.ifindex)
      case 'link.set':
        return this.#isVnic(change.link) || this.#isPodSetDown(change.link)
      case 'link.deleted':
        return this.#view.located.some(({ link }) => link.ifindex === change.link.ifindex)
      // Additions by others never take anything of ours away; a replaced route of ours is found by the full check.
      case 'rule.set':
      case 'route.set':
        return false
    }
  }

  // By its MAC, or by its index when it has got another MAC.
  #isVnic({ mac, ifindex }: Link): boolean {
    return (
      this.#vnics?.some((vnic) => vnic.mac === mac) === true ||
      this.#view.located.some(({ link }) => link.ifindex === ifindex)
    )
  }

  // An interface on its way out goes down first: that one is not to be set up again.
  #isPodSetDown({ name, up, ifindex }: Link): boolean {
    return isHostIfname(name) && !up && !this.remover.isRemoving(ifindex)
  }
}
