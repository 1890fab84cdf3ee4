import type { Fd } from '../fd.ts'
import * as libc from '../libc.ts'

const MSG_DONTWAIT = 0x40 // linux/socket.h

/**
 * Length of the next datagram that is there, now in `buffer`; undefined: there is none. 'lost': the socket's buffer
 * overflowed before it (ENOBUFS, netlink(7)).
 */
export function receiveNow(fd: Fd, buffer: Buffer): number | 'lost' | undefined {
  try {
    return libc.recv(fd.number, buffer, MSG_DONTWAIT)
  } catch (error) {
    if (!(error instanceof libc.SystemError)) throw error
    if (error.code === 'EAGAIN') return undefined
    if (error.code === 'ENOBUFS') return 'lost'
    throw error
  }
}
