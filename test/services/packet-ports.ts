// Where whole IP packets go into a kernel and come out of it: TUN devices, and raw sockets of the host itself.
import { constants } from 'node:fs'
import { constants as osConstants } from 'node:os'
import koffi from 'koffi'
import { Fd } from '../../src/linux/fd.ts'
import { setsockopt, socket, SystemError } from '../../src/linux/libc.ts'
import { protocolNumbers } from '../../src/linux/netlink/conntrack-tuple.ts'

const TUNSETIFF = 0x400454ca // linux/if_tun.h
const IFF_TUN = 0x0001
const IFF_NO_PI = 0x1000
const ifreqBytes = 40 // linux/if.h
const AF_INET = 2
const SOCK_RAW = 3
const SOCK_NONBLOCK = 0x800
const SOCK_CLOEXEC = 0x80000
const IPPROTO_RAW = 255
const SOL_SOCKET = 1
const SO_RCVBUFFORCE = 33
const maxPacketBytes = 2048

const libc = koffi.load('libc.so.6')
const rawIoctl = libc.func('int ioctl(int fd, unsigned long request, const void *argument)')
const rawRead = libc.func('intptr_t read(int fd, _Out_ uint8_t *data, size_t length)')
const rawWrite = libc.func('intptr_t write(int fd, const void *data, size_t length)')
const rawSendto = libc.func(
  'intptr_t sendto(int fd, const void *data, size_t length, int flags, const void *address, unsigned int addressBytes)',
)

/** One side of a kernel's network. */
export interface PacketPort extends Disposable {
  send(packet: Buffer): void
  /** All that came out since. */
  receive(): readonly Buffer[]
}

/** A device of the calling thread's namespace, down at first. What is written to it arrives at the kernel from there. */
export function openTun(name: string): PacketPort {
  const fd = Fd.open('/dev/net/tun', constants.O_RDWR | constants.O_NONBLOCK)
  const request = Buffer.alloc(ifreqBytes)
  request.write(name, 'latin1')
  request.writeUInt16LE(IFF_TUN | IFF_NO_PI, 16)
  if (Number(rawIoctl(fd.number, TUNSETIFF, request)) < 0) throw new SystemError('ioctl', koffi.errno(), name)
  return {
    send(packet) {
      if (Number(rawWrite(fd.number, packet, packet.length)) < 0) throw new SystemError('write', koffi.errno(), name)
    },
    receive: () => readAll(fd),
    [Symbol.dispose]: () => fd[Symbol.dispose](),
  }
}

/** What the namespace's own processes send and get. */
export function openHostPort(): PacketPort {
  const open = (protocol: number): Fd => new Fd(socket(AF_INET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol))
  const sender = open(IPPROTO_RAW)
  const { icmp, tcp, udp, sctp } = protocolNumbers
  const receivers = [icmp, tcp, udp, sctp].map(open)
  const buffer = Buffer.alloc(4)
  buffer.writeUInt32LE(1 << 20)
  for (const { number } of receivers) setsockopt(number, SOL_SOCKET, SO_RCVBUFFORCE, buffer)
  return {
    send(packet) {
      const to = Buffer.alloc(16)
      to.writeUInt16LE(AF_INET, 0)
      packet.copy(to, 4, 16, 20)
      if (Number(rawSendto(sender.number, packet, packet.length, 0, to, to.length)) >= 0) return
      const error = new SystemError('sendto', koffi.errno())
      // Rules that drop or reject say so to who sends; a reset or an ICMP message comes beside that.
      if (error.code !== 'EPERM') throw error
    },
    receive: () => receivers.flatMap(readAll),
    [Symbol.dispose]() {
      for (const fd of [sender, ...receivers]) fd[Symbol.dispose]()
    },
  }
}

function readAll(fd: Fd): readonly Buffer[] {
  const packets: Buffer[] = []
  const packet = Buffer.alloc(maxPacketBytes)
  for (;;) {
    const bytes = Number(rawRead(fd.number, packet, packet.length))
    if (bytes >= 0) packets.push(Buffer.from(packet.subarray(0, bytes)))
    else if (koffi.errno() === osConstants.errno.EAGAIN) return packets
    else throw new SystemError('read', koffi.errno())
  }
}
