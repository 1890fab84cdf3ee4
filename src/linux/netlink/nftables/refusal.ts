import { describeErrno } from '../../libc.ts'
import { NLM_F_ACK_TLVS, NLM_F_CAPPED, NLMSG_ERROR } from '../constants.ts'
import { decodeAck } from '../failure.ts'
import { nfgenmsgBytes, NLA_F_NESTED } from '../nfnetlink.ts'
import { align, Attributes, headerBytes, type NetlinkMessage } from '../wire.ts'
import type { Batch } from './batch.ts'
import * as nft from './constants.ts'
import { keyOfElement } from './objects.ts'

// linux/netlink.h, enum nlmsgerr_attrs
const NLMSGERR_ATTR_OFFS = 2
const errnoBytes = 4

/** Why a transaction did not happen. */
export interface BatchRefusal {
  /**
   * - stale: somebody else's transaction came in between; look at the ruleset, then try again
   * - refused: as it says; nothing has changed
   * - unknown: no answer arrived; it may have happened
   */
  readonly kind: 'stale' | 'refused' | 'unknown'
  /** C name, such as EEXIST. */
  readonly code: string
  readonly text: string
  /** What the refused message was about, and of its elements the one the kernel points at. */
  readonly set?: string
  readonly key?: string
}

const ERESTART = 85

/** Undefined: the transaction happened. */
export function findRefusal(batch: Batch, answers: readonly NetlinkMessage[]): BatchRefusal | undefined {
  let isAcknowledged = false
  for (const answer of answers) {
    if (answer.type !== NLMSG_ERROR) continue
    const { errno, extendedAck } = decodeAck(answer)
    if (errno === ERESTART && answer.sequence === batch.firstSequence) {
      return { kind: 'stale', code: 'ERESTART', text: 'the ruleset is of another generation' }
    }
    if (errno !== 0) {
      const [code, text] = describeErrno(errno)
      return { kind: 'refused', code, text: extendedAck ?? text, ...subjectOf(batch, answer) }
    }
    if (answer.sequence === batch.lastSequence) isAcknowledged = true
  }
  return isAcknowledged ? undefined : { kind: 'unknown', code: 'ENODATA', text: 'the kernel did not answer' }
}

function subjectOf(batch: Batch, answer: NetlinkMessage): Pick<BatchRefusal, 'set' | 'key'> {
  const message = messageOf(batch.datagram, answer.sequence)
  if (message === undefined || !isElementMessage(message.readUInt16LE(4))) return {}
  const attributes = Attributes.decode(message.subarray(headerBytes + nfgenmsgBytes))
  const set = attributes.text(nft.NFTA_SET_ELEM_LIST_SET)
  const key = elementKeyAt(message, badAttributeOffset(answer))
  return { ...(set === undefined ? {} : { set }), ...(key === undefined ? {} : { key }) }
}

function messageOf(datagram: Buffer, sequence: number): Buffer | undefined {
  for (let offset = 0; offset < datagram.length; offset += align(datagram.readUInt32LE(offset))) {
    if (datagram.readUInt32LE(offset + 8) !== sequence) continue
    return datagram.subarray(offset, offset + datagram.readUInt32LE(offset))
  }
  return undefined
}

function isElementMessage(type: number): boolean {
  return [nft.NFT_MSG_NEWSETELEM, nft.NFT_MSG_DELSETELEM].some((message) => type === nft.nftablesMessage(message))
}

/** From the beginning of the refused message to the attribute that the kernel did not like. */
function badAttributeOffset({ body, flags }: NetlinkMessage): number | undefined {
  if ((flags & NLM_F_ACK_TLVS) === 0) return undefined
  const requestBytes = (flags & NLM_F_CAPPED) !== 0 ? headerBytes : body.readUInt32LE(errnoBytes)
  return Attributes.decode(body.subarray(errnoBytes + align(requestBytes))).u32(NLMSGERR_ATTR_OFFS)
}

// The kernel points at the element, or at the name of the set when that is what is wrong.
function elementKeyAt(message: Buffer, offset: number | undefined): string | undefined {
  if (offset === undefined || offset + 4 > message.length) return undefined
  const length = message.readUInt16LE(offset)
  // The name of the table has the same number, but is not nested.
  const isElement = message.readUInt16LE(offset + 2) === (nft.NFTA_LIST_ELEM | NLA_F_NESTED)
  if (!isElement || length < 8 || offset + length > message.length) return undefined
  const key = keyOfElement(Attributes.decode(message.subarray(offset + 4, offset + length)))
  return key === '' ? undefined : key
}
