import { describeErrno } from '../libc.ts'
import { NLM_F_ACK_TLVS, NLM_F_CAPPED } from './constants.ts'
import { Attributes, headerBytes, MalformedNetlink, type NetlinkMessage } from './wire.ts'

// linux/netlink.h, enum nlmsgerr_attrs
const NLMSGERR_ATTR_MSG = 1

/** The kernel's refusal of one request, with the sentence of its extended ack where it gave one. */
export class NetlinkError extends Error {
  override readonly name = 'NetlinkError'
  readonly errno: number
  /** C name, such as EEXIST. */
  readonly code: string
  /** Which request of the batch was refused; the others were carried out all the same. */
  readonly requestIndex: number

  constructor(errno: number, requestIndex: number, extendedAck: string | undefined) {
    const [code, text] = describeErrno(errno)
    super(`the kernel refused: ${text} (${code})${extendedAck === undefined ? '' : `: ${extendedAck}`}`)
    this.errno = errno
    this.code = code
    this.requestIndex = requestIndex
  }
}

/** The answer to one request: errno 0 is an acknowledgement. Body of NLMSG_ERROR (netlink(7)). */
export function decodeAck(message: NetlinkMessage): { readonly errno: number; readonly extendedAck?: string } {
  const { body, flags } = message
  if (body.length < 4) throw new MalformedNetlink('an error message has no error')
  const errno = -body.readInt32LE(0)
  if ((flags & NLM_F_ACK_TLVS) === 0 || body.length < 4 + headerBytes) return { errno }
  // Behind the errno: the request's header, its payload unless capped, then the attributes.
  const requestBytes = (flags & NLM_F_CAPPED) !== 0 ? headerBytes : body.readUInt32LE(4)
  const start = 4 + ((requestBytes + 3) & ~3)
  if (start > body.length) throw new MalformedNetlink('an error message is cut off')
  const extendedAck = Attributes.decode(body.subarray(start)).text(NLMSGERR_ATTR_MSG)
  return extendedAck === undefined ? { errno } : { errno, extendedAck }
}
