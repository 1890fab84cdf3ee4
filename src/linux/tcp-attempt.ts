import net from 'node:net'
import type { Ipv4 } from '../base/ip.ts'
import type { Fd } from './fd.ts'
import { socket } from './libc.ts'
import { withNetns } from './netns.ts'

// bits/socket.h
const AF_INET = 2
const SOCK_STREAM = 1
const SOCK_NONBLOCK = 0o4000
const SOCK_CLOEXEC = 0o2000000

/** A connection out of a namespace; as with net.connect, success and failure are told by events. */
export function connectIn(netns: Fd, host: string, port: number): net.Socket {
  // A socket belongs for ever to the namespace it was made in. By hand: net.connect opens it later, when the thread has left.
  const fd = withNetns(netns, () => socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0))
  // manualStart: a socket with a descriptor is otherwise read at once, before it is connected. Known to Node since 0.10,
  // missing from its types.
  const options: net.SocketConstructorOpts & { manualStart: true } = {
    fd,
    manualStart: true,
    readable: true,
    writable: true,
  }
  return new net.Socket(options).connect({ host, port })
}

/** What came of an attempt to connect; another code is the kernel's, such as ENETUNREACH. */
export type ConnectOutcome = 'accepted' | 'refused' | 'silence' | { readonly code: string }

/**
 * One attempt out of a namespace; `look` is called when it has come to something, before the connection is closed, with its
 * own port (undefined once it was refused).
 */
export async function attemptConnection<T>(
  netns: Fd,
  to: { readonly address: Ipv4; readonly port: number },
  timeoutMs: number,
  look: (localPort: number | undefined) => Promise<T>,
): Promise<readonly [ConnectOutcome, T]> {
  const attempt = connectIn(netns, to.address, to.port)
  try {
    const outcome = await outcomeOf(attempt, timeoutMs)
    return [outcome, await look(attempt.localPort)]
  } finally {
    attempt.destroy()
  }
}

function outcomeOf(attempt: net.Socket, timeoutMs: number): Promise<ConnectOutcome> {
  return new Promise((resolve) => {
    attempt.setTimeout(timeoutMs, () => resolve('silence'))
    attempt.on('connect', () => resolve('accepted'))
    attempt.on('error', ({ code = 'unknown' }: NodeJS.ErrnoException) =>
      resolve(code === 'ECONNREFUSED' ? 'refused' : { code }),
    )
  })
}
