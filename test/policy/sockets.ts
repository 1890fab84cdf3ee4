// Sockets as system calls: nothing here waits, and what was sent is on its way when the call returns.
import { constants } from 'node:os'
import koffi from 'koffi'
import { type Ipv4, ipFromBytes, ipToBytes, parseIpv4 } from '../../src/base/ip.ts'
import { unwrap } from '../../src/base/result.ts'
import { Fd } from '../../src/linux/fd.ts'
import * as libc from '../../src/linux/libc.ts'
import { withNetns } from '../../src/linux/netns.ts'

const AF_INET = 2
const SOCK_STREAM = 1
const SOCK_DGRAM = 2
const SOCK_NONBLOCK = 0x800
const SOCK_CLOEXEC = 0x80000
const SOL_SOCKET = 1
const SO_REUSEADDR = 2
const SO_LINGER = 13
const SO_SNDBUFFORCE = 32
const SO_RCVBUFFORCE = 33
const IPPROTO_TCP = 6
const TCP_NODELAY = 1
const MSG_NOSIGNAL = 0x4000
const addressBytes = 16
const backlog = 1024
const receiveBytes = 1 << 20
const sendBytes = 1 << 19
const receiveBuffer = Buffer.alloc(receiveBytes)

const c = koffi.load('libc.so.6')
const rawConnect = c.func('int connect(int fd, const void *address, unsigned int length)')
const rawListen = c.func('int listen(int fd, int backlog)')
const rawAccept = c.func('int accept4(int fd, _Out_ uint8_t *address, _Inout_ uint32_t *length, int flags)')
const rawSend = c.func('intptr_t send(int fd, const void *data, size_t length, int flags)')
const rawRecvfrom = c.func(
  'intptr_t recvfrom(int fd, _Out_ uint8_t *data, size_t length, int flags, _Out_ uint8_t *from, _Inout_ uint32_t *fromLength)',
)
const rawSendto = c.func(
  'intptr_t sendto(int fd, const void *data, size_t length, int flags, const void *to, unsigned int toLength)',
)

export type SocketProtocol = 'TCP' | 'UDP'
export interface SocketAddress {
  readonly address: string
  readonly port: number
}
const types: Readonly<Record<SocketProtocol, number>> = { TCP: SOCK_STREAM, UDP: SOCK_DGRAM }

/** Bound in the namespace, where it stays. */
export function openSocket(netns: Fd, protocol: SocketProtocol, { address, port }: SocketAddress): Fd {
  return withNetns(netns, () => {
    const fd = new Fd(libc.socket(AF_INET, types[protocol] | SOCK_NONBLOCK | SOCK_CLOEXEC, 0))
    if (protocol === 'TCP') {
      libc.setsockopt(fd.number, SOL_SOCKET, SO_REUSEADDR, words(1))
      libc.setsockopt(fd.number, IPPROTO_TCP, TCP_NODELAY, words(1))
      // Takes more than TCP sends without an acknowledgement.
      libc.setsockopt(fd.number, SOL_SOCKET, SO_SNDBUFFORCE, words(sendBytes))
      // Closing ends the connection with a reset: no time-wait holds its ports.
      libc.setsockopt(fd.number, SOL_SOCKET, SO_LINGER, words(1, 0))
    } else libc.setsockopt(fd.number, SOL_SOCKET, SO_RCVBUFFORCE, words(receiveBytes))
    libc.bind(fd.number, addressOf({ address, port }))
    return fd
  })
}

export function listen({ number }: Fd): void {
  if (Number(rawListen(number, backlog)) < 0) throw new libc.SystemError('listen', koffi.errno())
}

/** Of TCP, sends the SYN. */
export function connect({ number }: Fd, to: SocketAddress): void {
  if (Number(rawConnect(number, addressOf(to), addressBytes)) >= 0) return
  if (koffi.errno() !== constants.errno.EINPROGRESS) throw new libc.SystemError('connect', koffi.errno())
}

export function accept({ number }: Fd): { readonly fd: Fd; readonly peer: SocketAddress } | undefined {
  const peer = Buffer.alloc(addressBytes)
  const accepted = Number(rawAccept(number, peer, [addressBytes], SOCK_NONBLOCK | SOCK_CLOEXEC))
  if (accepted >= 0) return { fd: new Fd(accepted), peer: readAddress(peer) }
  if (koffi.errno() === constants.errno.EAGAIN) return undefined
  throw new libc.SystemError('accept4', koffi.errno())
}

/** How much was taken; 0 where the buffer is full. */
export function send({ number }: Fd, data: Buffer): number {
  return checked('send', rawSend(number, data, data.length, MSG_NOSIGNAL)) ?? 0
}

export function sendTo({ number }: Fd, data: Buffer, to: SocketAddress): void {
  checked('sendto', rawSendto(number, data, data.length, MSG_NOSIGNAL, addressOf(to), addressBytes))
}

/** Undefined: nothing, or the end. Throws a SystemError where the other side, or a node, refused. */
export function receive({ number }: Fd): { readonly data: Buffer; readonly from: SocketAddress } | undefined {
  const from = Buffer.alloc(addressBytes)
  const got = checked('recvfrom', rawRecvfrom(number, receiveBuffer, receiveBytes, 0, from, [addressBytes])) ?? 0
  return got === 0 ? undefined : { data: Buffer.from(receiveBuffer.subarray(0, got)), from: readAddress(from) }
}

/** Undefined: not now. */
function checked(syscall: string, result: unknown): number | undefined {
  const value = Number(result)
  if (value >= 0) return value
  const errno = koffi.errno()
  if (errno === constants.errno.EAGAIN) return undefined
  throw new libc.SystemError(syscall, errno)
}

/** struct sockaddr_in (ip(7)). */
function addressOf({ address, port }: SocketAddress): Buffer {
  const bytes = Buffer.alloc(addressBytes)
  bytes.writeUInt16LE(AF_INET, 0)
  bytes.writeUInt16BE(port, 2)
  const ip: Ipv4 = unwrap(parseIpv4(address))
  ipToBytes(ip).copy(bytes, 4)
  return bytes
}

function readAddress(bytes: Buffer): SocketAddress {
  return { address: ipFromBytes(bytes.subarray(4, 8)), port: bytes.readUInt16BE(2) }
}

function words(...values: readonly number[]): Buffer {
  return Buffer.from(Uint32Array.from(values).buffer)
}
