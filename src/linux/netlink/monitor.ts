import { read } from 'node:fs'
import type { Fd } from '../fd.ts'
import * as libc from '../libc.ts'
import { type InterfaceAddress, decodeAddress } from './address.ts'
import {
  AF_NETLINK,
  AF_UNSPEC,
  NLM_F_ACK,
  NLM_F_REQUEST,
  NLMSG_NOOP,
  RTM_DELADDR,
  RTM_DELLINK,
  RTM_DELROUTE,
  RTM_DELRULE,
  RTM_NEWADDR,
  RTM_NEWLINK,
  RTM_NEWROUTE,
  RTM_NEWRULE,
} from './constants.ts'
import { decodeLink, type Link } from './link.ts'
import { receiveNow } from './receive-now.ts'
import { decodeRoute, type Route } from './route.ts'
import { decodeRule, type Rule } from './rule.ts'
import { openRouteSocket } from './socket.ts'
import { decodeMessages, encodeRequests, type NetlinkMessage } from './wire.ts'

// linux/rtnetlink.h, enum rtnetlink_groups, as bits of nl_groups
const RTNLGRP_LINK = 1
const RTNLGRP_IPV4_IFADDR = 5
const RTNLGRP_IPV4_ROUTE = 7
const RTNLGRP_IPV4_RULE = 8
const groups = [RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV4_RULE]

export type NetworkChange =
  | { readonly kind: 'link.set' | 'link.deleted'; readonly link: Link }
  | { readonly kind: 'address.set' | 'address.deleted'; readonly address: InterfaceAddress }
  | { readonly kind: 'route.set' | 'route.deleted'; readonly route: Route }
  | { readonly kind: 'rule.set' | 'rule.deleted'; readonly rule: Rule }
  /** The socket's buffer overflowed (ENOBUFS): what happened until now is unknown, look at everything. */
  | { readonly kind: 'lost' }

/**
 * Tells every change of links, addresses, routes and rules in the namespace it was made in, until disposed.
 *
 * libuv refuses netlink descriptors in its event loop, so a thread of its pool waits in read(2): 25 µs an event.
 */
export class NetlinkMonitor implements Disposable {
  readonly #fd: Fd
  readonly #buffer = Buffer.allocUnsafe(64 * 1024)
  readonly #onChange: (change: NetworkChange) => void
  #stopped = false

  /** How much the kernel keeps for a slow reader before it answers 'lost' is `receiveBufferBytes`. */
  constructor(
    onChange: (change: NetworkChange) => void,
    { receiveBufferBytes = 8 * 1024 * 1024 }: { readonly receiveBufferBytes?: number } = {},
  ) {
    this.#onChange = onChange
    this.#fd = openRouteSocket(receiveBufferBytes)
    try {
      subscribe(this.#fd)
    } catch (error) {
      this.#fd[Symbol.dispose]()
      throw error
    }
    process.once('exit', this.#wakeRead)
    this.#readNext()
  }

  [Symbol.dispose](): void {
    if (this.#stopped) return
    this.#stopped = true
    process.off('exit', this.#wakeRead)
    this.#wakeRead()
  }

  // A read cannot be cancelled: the socket is asked something, and the answer wakes it. exit(3) joins the threads of
  // libuv's pool, so that a process with a waiting read would never end, not even by an uncaught exception.
  readonly #wakeRead = (): void => {
    const wake = { type: NLMSG_NOOP, flags: NLM_F_REQUEST | NLM_F_ACK, body: new Uint8Array(0) }
    libc.send(this.#fd.number, encodeRequests([wake], 0, 0))
  }

  #readNext(): void {
    read(this.#fd.number, this.#buffer, 0, this.#buffer.length, null, (error, length) => {
      if (error === null) this.#drain(length)
      else if (error.code === 'ENOBUFS') this.#drain('lost')
      else if (error.code !== 'EINTR') throw error
      if (this.#stopped) this.#fd.closeLater()
      else this.#readNext()
    })
  }

  // Notifications come in bursts: what is there already needs no turn of a pool's thread. And after an overflow the kernel
  // drops everything, without a further word, until the queue has been empty once (net/netlink/af_netlink.c,
  // netlink_overrun and netlink_rcv_wake): "look at everything" only holds from then on.
  #drain(first: number | 'lost'): void {
    let lost = false
    for (
      let received: number | 'lost' | undefined = first;
      received !== undefined;
      received = receiveNow(this.#fd, this.#buffer)
    ) {
      if (received === 'lost') lost = true
      else this.#deliver(received)
    }
    if (lost && !this.#stopped) this.#onChange({ kind: 'lost' })
  }

  #deliver(length: number): void {
    for (const message of decodeMessages(Buffer.from(this.#buffer.subarray(0, length)))) {
      // The listener may dispose of the monitor in the middle of a datagram.
      if (this.#stopped) return
      const change = decodeChange(message)
      if (change !== undefined) this.#onChange(change)
    }
  }
}

function subscribe(fd: Fd): void {
  const address = Buffer.alloc(12) // struct sockaddr_nl
  address.writeUInt16LE(AF_NETLINK, 0)
  address.writeUInt32LE(
    groups.reduce((bits, group) => bits | (1 << (group - 1)), 0),
    8,
  )
  libc.bind(fd.number, address)
}

export function decodeChange({ type, body }: NetlinkMessage): NetworkChange | undefined {
  switch (type) {
    case RTM_NEWLINK:
    case RTM_DELLINK: {
      // AF_BRIDGE messages of the same type describe ports, not links.
      const [family = AF_UNSPEC] = body
      if (family !== AF_UNSPEC) return undefined
      return { kind: type === RTM_NEWLINK ? 'link.set' : 'link.deleted', link: decodeLink(body) }
    }
    case RTM_NEWADDR:
    case RTM_DELADDR:
      return { kind: type === RTM_NEWADDR ? 'address.set' : 'address.deleted', address: decodeAddress(body) }
    case RTM_NEWROUTE:
    case RTM_DELROUTE: {
      const route = decodeRoute(body)
      return route && { kind: type === RTM_NEWROUTE ? 'route.set' : 'route.deleted', route }
    }
    case RTM_NEWRULE:
    case RTM_DELRULE:
      return { kind: type === RTM_NEWRULE ? 'rule.set' : 'rule.deleted', rule: decodeRule(body) }
    default:
      return undefined
  }
}
