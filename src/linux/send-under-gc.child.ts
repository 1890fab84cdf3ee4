// Installs 10.9.0.0/24 to 10.9.255.0/24 in table 20000 of the namespace of argv[2] by sendBlocking, while memory is freed
// and filled with other bytes. Nothing here keeps a reference to the bytes that are sent.
// Needs --expose-gc and UV_THREADPOOL_SIZE=1.
import { constants } from 'node:fs'
import { ipv4FromNumber } from '../base/ip.ts'
import { Fd } from './fd.ts'
import { sendBlocking } from './libc.ts'
import { NetlinkMonitor } from './netlink/monitor.ts'
import { addRoute } from './netlink/route.ts'
import { openRouteSocket } from './netlink/socket.ts'
import { encodeRequests } from './netlink/wire.ts'
import { withNetns } from './netns.ts'

const loopbackIfindex = 1
const requestBytes = 52
const collectGarbage = globalThis.gc
if (collectGarbage === undefined) throw new Error('run with --expose-gc')

function requestOf(index: number): Buffer {
  const destination = { address: ipv4FromNumber(0x0a09_0000 + index * 256), prefixLength: 24 }
  const route = { table: 20_000, destination, ifindex: loopbackIfindex, scope: 'link', protocol: 118 } as const
  const request = encodeRequests([addRoute(route)], index, 0)
  if (request.length !== requestBytes) throw new Error(`a request has ${request.length} bytes`)
  return request
}

using netns = Fd.open(process.argv[2] ?? '', constants.O_RDONLY)
using socket = withNetns(netns, () => openRouteSocket(1024 * 1024))
// Its waiting read holds the only thread of the pool, so that no call is made before the garbage is gone.
const occupant = withNetns(netns, () => new NetlinkMonitor(() => undefined))

const calls: Promise<void>[] = []
for (let index = 0; index < 256; index++) calls.push(sendBlocking(socket.number, requestOf(index)))
for (let round = 0; round < 10; round++) {
  collectGarbage()
  // Takes the place of what was freed.
  for (let count = 0; count < 500; count++) Buffer.alloc(requestBytes, 0xff)
}
occupant[Symbol.dispose]()
await Promise.all(calls)
