import { NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REQUEST } from '../constants.ts'
import { nfgenmsgBytes, NLA_F_NESTED } from '../nfnetlink.ts'
import { align, headerBytes } from '../wire.ts'
import * as nft from './constants.ts'

// A transaction of nf_tables: all messages between BATCH_BEGIN and BATCH_END take effect together or not at all, when
// they arrive in one datagram (net/netfilter/nfnetlink.c, nfnetlink_rcv_batch). Netfilter's integers are big-endian.

/** A table, by its family (AF_INET, AF_INET6, or NFPROTO_INET = 1) and name. */
export interface TableAddress {
  readonly family: number
  readonly name: string
}

/** Keys and values are bytes, one UTF-16 unit a byte. */
export interface RawElement {
  readonly key: string
  /** The last key of a range in a concatenation. */
  readonly keyEnd?: string
  /** In a plain interval set: not an element, but the first key behind one. */
  readonly isIntervalEnd?: boolean
  readonly data?: RawData
}
export type RawData =
  | { readonly kind: 'bytes'; readonly bytes: string }
  | { readonly kind: 'verdict'; readonly word: nft.VerdictWord; readonly chain?: string }

export interface Batch {
  readonly datagram: Buffer
  /** The first is that of BATCH_BEGIN. */
  readonly firstSequence: number
  /** Of the message that asked for an acknowledgement: the last one before BATCH_END. */
  readonly lastSequence: number
}

/** Behind the header and nfgenmsg of BATCH_BEGIN and the header of its only attribute. */
const generationOffset = headerBytes + nfgenmsgBytes + 4
/** A nested attribute's length has 16 bits; an element takes far less than what is left to them. */
const elementListBytes = 60_000

/** The same transaction for another generation. */
export function restampBatch({ datagram }: Batch, generation: number): void {
  datagram.writeUInt32BE(generation, generationOffset)
}

/** Writes one batch. All of it is one datagram: splitting it would split the transaction. */
export class BatchWriter {
  #buffer = Buffer.allocUnsafe(16 * 1024)
  #length = 0
  #messageStart = 0
  #elementsStart = 0
  #sequence = 0
  #open: { readonly type: number; readonly table: TableAddress; readonly set: string } | undefined

  /** The kernel refuses the batch (ERESTART) when the ruleset is not of this generation any more. */
  constructor(generation: number) {
    this.#begin(nft.NFNL_MSG_BATCH_BEGIN, NLM_F_REQUEST, 0, nft.NFNL_SUBSYS_NFTABLES)
    this.#u32(nft.NFNL_BATCH_GENID, generation)
    this.#end()
  }

  /** Adding an element that is there, or deleting one that is not, fails the batch (EEXIST, ENOENT). */
  element(action: 'add' | 'delete', table: TableAddress, set: string, element: RawElement): void {
    const type = nft.nftablesMessage(action === 'add' ? nft.NFT_MSG_NEWSETELEM : nft.NFT_MSG_DELSETELEM)
    const isFull = this.#length - this.#elementsStart > elementListBytes
    const open = this.#open
    if (open === undefined || isFull || open.type !== type || open.set !== set || open.table !== table) {
      this.#closeElements()
      const flags = action === 'add' ? NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL : NLM_F_REQUEST
      this.#begin(type, flags, table.family, 0)
      this.#text(nft.NFTA_SET_ELEM_LIST_TABLE, table.name)
      this.#text(nft.NFTA_SET_ELEM_LIST_SET, set)
      this.#elementsStart = this.#nest(nft.NFTA_SET_ELEM_LIST_ELEMENTS)
      this.#open = { type, table, set }
    }
    this.#element(element)
  }

  /** Empties a set, of elements that rules added as well. An empty one stays empty. */
  flush({ family, name }: TableAddress, set: string): void {
    this.#closeElements()
    this.#begin(nft.nftablesMessage(nft.NFT_MSG_DELSETELEM), NLM_F_REQUEST, family, 0)
    this.#text(nft.NFTA_SET_ELEM_LIST_TABLE, name)
    this.#text(nft.NFTA_SET_ELEM_LIST_SET, set)
    this.#end()
  }

  /**
   * Makes a chain and deletes it again: nothing comes of it but a new generation, which a transaction without any work, such
   * as emptying a set that is empty, does not make (net/netfilter/nf_tables_api.c, nf_tables_commit).
   */
  passingChain({ family, name }: TableAddress, chain: string): void {
    this.#closeElements()
    for (const message of [nft.NFT_MSG_NEWCHAIN, nft.NFT_MSG_DELCHAIN]) {
      const flags = message === nft.NFT_MSG_NEWCHAIN ? NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL : NLM_F_REQUEST
      this.#begin(nft.nftablesMessage(message), flags, family, 0)
      this.#text(nft.NFTA_CHAIN_TABLE, name)
      this.#text(nft.NFTA_CHAIN_NAME, chain)
      this.#end()
    }
  }

  /** Takes a table's flags away: a dormant one comes to life. */
  wake({ family, name }: TableAddress): void {
    this.#closeElements()
    this.#begin(nft.nftablesMessage(nft.NFT_MSG_NEWTABLE), NLM_F_REQUEST, family, 0)
    this.#text(nft.NFTA_TABLE_NAME, name)
    this.#u32(nft.NFTA_TABLE_FLAGS, 0)
    this.#end()
  }

  deleteTable({ family, name }: TableAddress): void {
    this.#closeElements()
    this.#begin(nft.nftablesMessage(nft.NFT_MSG_DELTABLE), NLM_F_REQUEST, family, 0)
    this.#text(nft.NFTA_TABLE_NAME, name)
    this.#end()
  }

  done(): Batch {
    this.#closeElements()
    const lastSequence = this.#sequence
    const flagsOffset = this.#messageStart + 6
    this.#buffer.writeUInt16LE(this.#buffer.readUInt16LE(flagsOffset) | NLM_F_ACK, flagsOffset)
    this.#begin(nft.NFNL_MSG_BATCH_END, NLM_F_REQUEST, 0, nft.NFNL_SUBSYS_NFTABLES)
    this.#end()
    return { datagram: this.#buffer.subarray(0, this.#length), firstSequence: 1, lastSequence }
  }

  #element({ key, keyEnd, isIntervalEnd = false, data }: RawElement): void {
    const element = this.#nest(nft.NFTA_LIST_ELEM)
    this.#value(nft.NFTA_SET_ELEM_KEY, key)
    if (keyEnd !== undefined) this.#value(nft.NFTA_SET_ELEM_KEY_END, keyEnd)
    if (isIntervalEnd) this.#u32(nft.NFTA_SET_ELEM_FLAGS, nft.NFT_SET_ELEM_INTERVAL_END)
    if (data?.kind === 'bytes') this.#value(nft.NFTA_SET_ELEM_DATA, data.bytes)
    else if (data !== undefined) {
      const outer = this.#nest(nft.NFTA_SET_ELEM_DATA)
      const inner = this.#nest(nft.NFTA_DATA_VERDICT)
      this.#u32(nft.NFTA_VERDICT_CODE, nft.verdictCodes[data.word] >>> 0)
      if (data.chain !== undefined) this.#text(nft.NFTA_VERDICT_CHAIN, data.chain)
      this.#unnest(inner)
      this.#unnest(outer)
    }
    this.#unnest(element)
  }

  #closeElements(): void {
    if (this.#open === undefined) return
    this.#open = undefined
    this.#unnest(this.#elementsStart)
    this.#end()
  }

  #begin(type: number, flags: number, family: number, resource: number): void {
    this.#reserve(headerBytes + nfgenmsgBytes)
    this.#messageStart = this.#length
    this.#sequence++
    this.#buffer.writeUInt16LE(type, this.#length + 4)
    this.#buffer.writeUInt16LE(flags, this.#length + 6)
    this.#buffer.writeUInt32LE(this.#sequence, this.#length + 8)
    this.#buffer.writeUInt32LE(0, this.#length + 12)
    this.#buffer.writeUInt8(family, this.#length + 16)
    this.#buffer.writeUInt8(0, this.#length + 17)
    this.#buffer.writeUInt16BE(resource, this.#length + 18)
    this.#length += headerBytes + nfgenmsgBytes
  }

  #end(): void {
    this.#buffer.writeUInt32LE(this.#length - this.#messageStart, this.#messageStart)
  }

  #nest(type: number): number {
    this.#reserve(4)
    const start = this.#length
    this.#buffer.writeUInt16LE(type | NLA_F_NESTED, start + 2)
    this.#length += 4
    return start
  }

  #unnest(start: number): void {
    this.#buffer.writeUInt16LE(this.#length - start, start)
  }

  #u32(type: number, value: number): void {
    this.#reserve(8)
    this.#buffer.writeUInt16LE(8, this.#length)
    this.#buffer.writeUInt16LE(type, this.#length + 2)
    this.#buffer.writeUInt32BE(value, this.#length + 4)
    this.#length += 8
  }

  #text(type: number, value: string): void {
    this.#bytes(type, `${value}\0`)
  }

  #value(type: number, bytes: string): void {
    const start = this.#nest(type)
    this.#bytes(nft.NFTA_DATA_VALUE, bytes)
    this.#unnest(start)
  }

  #bytes(type: number, bytes: string): void {
    const size = align(4 + bytes.length)
    this.#reserve(size)
    this.#buffer.writeUInt16LE(4 + bytes.length, this.#length)
    this.#buffer.writeUInt16LE(type, this.#length + 2)
    // The padding is not the kernel's business, but nothing of this process's memory should leave it.
    if ((bytes.length & 3) !== 0) this.#buffer.writeUInt32LE(0, this.#length + size - 4)
    this.#buffer.write(bytes, this.#length + 4, 'latin1')
    this.#length += size
  }

  #reserve(bytes: number): void {
    if (this.#length + bytes <= this.#buffer.length) return
    const larger = Buffer.allocUnsafe((this.#buffer.length + bytes) * 2)
    this.#buffer.copy(larger, 0, 0, this.#length)
    this.#buffer = larger
  }
}
