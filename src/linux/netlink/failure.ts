import { describeErrno } from '../libc.ts'
import { NLM_F_ACK_TLVS, NLM_F_CAPPED } from './constants.ts'
import { align, Attributes, headerBytes, MalformedNetlink, type NetlinkMessage } from './wire.ts'

// linux/netlink.h, enum nlmsgerr_attrs
const NLMSGERR_ATTR_MSG = 1
const errnoBytes = 4

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

export interface Answer {
  readonly errno: number
  readonly extendedAck?: string
}

/** The answer to one request: errno 0 is an acknowledgement. Body of NLMSG_ERROR (netlink(7)). */
export function decodeAck({ body, flags }: NetlinkMessage): Answer {
  if (body.length < errnoBytes) throw new MalformedNetlink('an error message has no error')
  const errno = Math.abs(body.readInt32LE(0))
  if ((flags & NLM_F_ACK_TLVS) === 0 || body.length < errnoBytes + headerBytes) return { errno }
  // Behind the errno: the request's header, its payload unless the answer is capped, then the attributes.
  const requestBytes = (flags & NLM_F_CAPPED) !== 0 ? headerBytes : body.readUInt32LE(errnoBytes)
  if (requestBytes < headerBytes || requestBytes > body.length - errnoBytes) {
    throw new MalformedNetlink(`an error message quotes ${requestBytes} bytes of ${body.length}`)
  }
  return { errno, ...decodeExtendedAck(body.subarray(errnoBytes + align(requestBytes))) }
}

/** How a dump ended; errno 0 is well. Body of NLMSG_DONE (net/netlink/af_netlink.c, netlink_dump_done). */
export function decodeDone({ body, flags }: NetlinkMessage): Answer {
  if (body.length < errnoBytes) return { errno: 0 }
  const errno = Math.abs(body.readInt32LE(0))
  return (flags & NLM_F_ACK_TLVS) === 0 ? { errno } : { errno, ...decodeExtendedAck(body.subarray(errnoBytes)) }
}

function decodeExtendedAck(attributes: Buffer): Pick<Answer, 'extendedAck'> {
  const extendedAck = Attributes.decode(attributes).text(NLMSGERR_ATTR_MSG)
  return extendedAck === undefined ? {} : { extendedAck }
}
