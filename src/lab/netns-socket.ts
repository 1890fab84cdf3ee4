import type net from 'node:net'
import { type Ipv4, ipToBytes } from '../base/ip.ts'
import type { Fd } from '../linux/fd.ts'
import { bind, close, setsockopt, socket } from '../linux/libc.ts'
import { withNetns } from '../linux/netns.ts'

// A socket belongs for ever to the namespace it was made in. Made by hand: net.Server.listen looks the
// address up first and opens the socket later, when the thread has left the namespace.

// bits/socket.h, asm-generic/socket.h
const AF_INET = 2
const SOCK_STREAM = 1
const SOCK_CLOEXEC = 0o2000000
const SOL_SOCKET = 1
const SO_REUSEADDR = 2

/** Listens in a namespace, or in the process's own when there is none. */
export async function listenIn(server: net.Server, netns: Fd | undefined, address: Ipv4, port: number): Promise<void> {
  const fd = boundSocket(netns, address, port)
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen({ fd }, () => {
      server.off('error', reject)
      resolve()
    })
  })
}

function boundSocket(netns: Fd | undefined, address: Ipv4, port: number): number {
  const open = (): number => socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)
  const fd = netns === undefined ? open() : withNetns(netns, open)
  try {
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, Buffer.from(Uint32Array.of(1).buffer))
    bind(fd, socketAddress(address, port))
    return fd
  } catch (error) {
    close(fd)
    throw error
  }
}

/** struct sockaddr_in (ip(7)). */
function socketAddress(address: Ipv4, port: number): Buffer {
  const bytes = Buffer.alloc(16)
  bytes.writeUInt16LE(AF_INET, 0)
  bytes.writeUInt16BE(port, 2)
  ipToBytes(address).copy(bytes, 4)
  return bytes
}
