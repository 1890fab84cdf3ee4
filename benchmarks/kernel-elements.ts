import { unwrap } from '../src/base/result.ts'
import { Fd } from '../src/linux/fd.ts'
import * as libc from '../src/linux/libc.ts'
import { AF_NETLINK, NLM_F_REQUEST, NLMSG_ERROR } from '../src/linux/netlink/constants.ts'
import { decodeAck, NetlinkError } from '../src/linux/netlink/failure.ts'
import type { TableAddress } from '../src/linux/netlink/nftables/batch.ts'
import * as nft from '../src/linux/netlink/nftables/constants.ts'
import { NETLINK_NETFILTER, NLA_F_NESTED, nfgenmsg } from '../src/linux/netlink/nfnetlink.ts'
import { decodeMessages, encodeRequests } from '../src/linux/netlink/wire.ts'
import { openNetns, withNetns } from '../src/linux/netns.ts'
import { monotonicMs } from './monotonic-clock.ts'

const SOCK_RAW = 3
const answerBytes = 8192
const ENOENT = 2
const nfgenmsgBytes = 4 // linux/netfilter/nfnetlink.h
const pollMs = 0.1

export interface ElementKey {
  readonly set: string
  /** Bytes. */
  readonly key: string
}

/** Asks the kernel for one element of a set, under RCU (nf_tables_api.c): no transaction waits for such a question. */
export class KernelElements implements Disposable {
  readonly #fd: Fd
  readonly #table: TableAddress
  readonly #buffer = Buffer.allocUnsafe(answerBytes)
  readonly #pause = new Int32Array(new SharedArrayBuffer(4))

  constructor(netnsPath: string, table: TableAddress) {
    using netns = unwrap(openNetns(netnsPath))
    this.#fd = withNetns(netns, () => new Fd(libc.socket(AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER)))
    this.#table = table
  }

  /** Blocks its thread until the element is there; returns when that was, by `monotonicMs`. */
  waitFor(element: ElementKey, timeoutMs: number): number {
    return this.waitUntil(element, (found) => found !== undefined, timeoutMs)
  }

  /** Likewise, until the element (`read`) is as it should be. */
  waitUntil(element: ElementKey, isRight: (found: string | undefined) => boolean, timeoutMs: number): number {
    const deadlineMs = monotonicMs() + timeoutMs
    for (;;) {
      const found = this.read(element)
      const nowMs = monotonicMs()
      if (isRight(found)) return nowMs
      if (nowMs > deadlineMs) throw new Error(`an element of ${element.set} did not change in ${timeoutMs} ms`)
      Atomics.wait(this.#pause, 0, 0, pollMs)
    }
  }

  /** What the kernel says of the element, value included, as bytes; undefined when it is not there. */
  read({ set, key }: ElementKey): string | undefined {
    const body = nfgenmsg(this.#table.family)
      .text(nft.NFTA_SET_ELEM_LIST_TABLE, this.#table.name)
      .text(nft.NFTA_SET_ELEM_LIST_SET, set)
      .nested(nft.NFTA_SET_ELEM_LIST_ELEMENTS | NLA_F_NESTED, (list) =>
        list.nested(nft.NFTA_LIST_ELEM | NLA_F_NESTED, (element) =>
          element.nested(nft.NFTA_SET_ELEM_KEY | NLA_F_NESTED, (value) =>
            value.attribute(nft.NFTA_DATA_VALUE, Buffer.from(key, 'latin1')),
          ),
        ),
      )
      .done()
    const type = nft.nftablesMessage(nft.NFT_MSG_GETSETELEM)
    libc.send(this.#fd.number, encodeRequests([{ type, flags: NLM_F_REQUEST, body }], 1, 0))
    const length = libc.recv(this.#fd.number, this.#buffer)
    for (const message of decodeMessages(this.#buffer.subarray(0, length))) {
      // Its header holds the ruleset's generation, which anything changes.
      if (message.type !== NLMSG_ERROR) return message.body.subarray(nfgenmsgBytes).toString('latin1')
      const { errno, extendedAck } = decodeAck(message)
      if (errno !== ENOENT) throw new NetlinkError(errno, 0, extendedAck)
    }
    return undefined
  }

  [Symbol.dispose](): void {
    this.#fd[Symbol.dispose]()
  }
}
