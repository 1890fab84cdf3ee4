import { existsSync } from 'node:fs'
import { formatAttachmentKey } from '../base/attachment.ts'
import type { Clock } from '../base/clock.ts'
import type { Ipv4 } from '../base/ip.ts'
import type { Logger } from '../base/logger.ts'
import type { VnicId } from '../base/vnic.ts'
import type { PodAttachment } from '../datapath/pod-plan.ts'
import type { NetnsState } from '../datapath/state.ts'
import type { Journal } from '../ipam/journal.ts'
import type { HeldRow } from '../ipam/journal-row.ts'
import type { Link } from '../linux/netlink/link.ts'
import { type AdoptionStep, findHostLink, planAdoption } from './adoption.ts'
import type { NodeTenants } from './node-network.ts'
import type { NodeView } from './node-view.ts'

export interface TenantsOptions {
  readonly journal: Journal
  readonly bootId: string
  readonly clock: Clock
  readonly logger: Logger
}

/** The pods of this node as the journal and the kernel together tell them. */
export class Tenants implements NodeTenants {
  readonly #options: TenantsOptions
  readonly #quarantined = new Map<Ipv4, Link>()
  /** Attachments already complained of. */
  readonly #lost = new Set<string>()

  constructor(options: TenantsOptions) {
    this.#options = options
  }

  /** Addresses that live interfaces have although the journal does not say so. */
  get quarantined(): ReadonlyMap<Ipv4, Link> {
    return this.#quarantined
  }

  sparedInterfaces(): ReadonlySet<number> {
    return new Set([...this.#quarantined.values()].map(({ ifindex }) => ifindex))
  }

  attachedPods(state: NetnsState, view: NodeView): readonly PodAttachment[] {
    for (const [address, link] of this.#quarantined) {
      if (!state.links.some(({ ifindex, name }) => ifindex === link.ifindex && name === link.name))
        this.#quarantined.delete(address)
    }
    return this.#options.journal.held().flatMap((row) => {
      if (row.state !== 'attached') return []
      const link = findHostLink(row, state.links)
      if (link === undefined) {
        this.#complain(row)
        return []
      }
      return [attachmentOf(row, link, view)]
    })
  }

  /**
   * Brings journal and kernel together when the agent starts. Returns what has interfaces to be taken away still:
   * attachments whose ADD or DEL an earlier agent did not finish.
   */
  adopt(state: NetnsState, view: NodeView): readonly HeldRow[] {
    return this.#plan(state).flatMap((step) => this.#carryOut(step, view))
  }

  /**
   * Attachments whose interface and namespace are both gone, and those whose ADD or DEL ended in an exception: a DEL that
   * we would miss may never come. The caller sees to it that no request of theirs is under way.
   */
  abandoned(state: NetnsState): readonly HeldRow[] {
    return this.#plan(state).flatMap((step) => (step.kind === 'release' || step.kind === 'undo' ? [step.row] : []))
  }

  #plan(state: NetnsState): readonly AdoptionStep[] {
    const { journal, bootId, clock } = this.#options
    return planAdoption({ rows: journal.all(), state, bootId, nowMs: clock.nowMs(), netnsExists: existsSync })
  }

  #carryOut(step: AdoptionStep, view: NodeView): readonly HeldRow[] {
    const { journal, logger, clock } = this.#options
    switch (step.kind) {
      case 'keep':
        return []
      case 'undo':
      case 'release':
        logger.info(`adoption.${step.kind}`, {
          attachment: formatAttachmentKey(step.row.key),
          address: step.row.address,
        })
        return [step.row]
      case 'interface-lost':
        this.#complain(step.row)
        return []
      case 'adopt': {
        const { key, address, link } = step
        const vnicId = view.located.find(({ vnic }) => vnic.addresses.includes(address))?.vnic.id ?? unknownVnic
        const intended = journal.intend({
          key,
          address,
          vnicId,
          netns: '',
          hostIfname: link.name,
          createdMs: clock.nowMs(),
        })
        if (intended.ok) {
          journal.commit(key, { ifindex: link.ifindex })
          logger.warn('adoption.adopted', { attachment: formatAttachmentKey(key), address, interface: link.name })
        } else {
          this.#quarantine(address, link)
        }
        return []
      }
      case 'quarantine':
        this.#quarantine(step.address, step.link)
        return []
    }
  }

  #quarantine(address: Ipv4, link: Link): void {
    this.#quarantined.set(address, link)
    const { name, alias } = link
    this.#options.logger.warn('adoption.quarantined', { address, interface: name, alias })
  }

  #complain(row: HeldRow): void {
    const attachment = formatAttachmentKey(row.key)
    if (this.#lost.has(attachment)) return
    this.#lost.add(attachment)
    this.#options.logger.error('pod.interfaceLost', { attachment, address: row.address, interface: row.hostIfname })
  }
}

const unknownVnic = 'unknown' as VnicId

function attachmentOf(row: HeldRow, link: Link, { nodeAddress }: NodeView): PodAttachment {
  const { key, address, hostIfname } = row
  const { ifindex, mtuBytes } = link
  return { key, address, hostIfname, ifindex, mtuBytes, ...(nodeAddress !== undefined && { nodeAddress }) }
}
