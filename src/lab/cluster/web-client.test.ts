import { randomBytes } from 'node:crypto'
import net from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { parseIpv4 } from '../../base/ip.ts'
import { err, unwrap } from '../../base/result.ts'
import { changeLink } from '../../linux/netlink/link.ts'
import { NetlinkSocket } from '../../linux/netlink/socket.ts'
import { createNamedNetns, openNetns, removeNamedNetns, withNetns } from '../../linux/netns.ts'
import { netnsPath } from '../names.ts'
import { listenIn } from '../netns-socket.ts'
import { askUntilStopped, askWebServer } from './web-client.ts'

const never = new AbortController().signal
const loopback = unwrap(parseIpv4('127.0.0.1'))
const to = { address: loopback, port: 8080 }

/** A namespace in which a server answers every connection with these bytes; without any, nobody listens. */
async function serving(answer?: string): Promise<string> {
  const name = `web-${randomBytes(4).toString('hex')}`
  createNamedNetns(name)
  onTestFinished(() => removeNamedNetns(name))
  using netns = unwrap(openNetns(netnsPath(name)))
  using socket = withNetns(netns, () => new NetlinkSocket())
  unwrap(socket.request([changeLink({ ifindex: 1, up: true })]))
  if (answer === undefined) return name
  const server = net.createServer((peer) => {
    peer.on('error', () => undefined)
    peer.once('data', () => peer.end(answer))
  })
  onTestFinished(() => void server.close())
  await listenIn(server, netns, to.address, to.port)
  return name
}

test('tells the pod, its node, whom it saw, and the port of the connection', async () => {
  const netns = await serving('HTTP/1.1 200 OK\r\n\r\nweb-1 on n1, asked by 10.0.4.5\n')
  const reply = await askWebServer(netns, to, never)
  expect(reply).toMatchObject({ ok: true, value: { pod: 'web-1', node: 'n1', askedBy: '10.0.4.5' } })
  expect(reply.ok && reply.value.localPort).toBeGreaterThan(0)
})

test('a refused connection is told by its code', async () => {
  expect(await askWebServer(await serving(), to, never)).toEqual(err('ECONNREFUSED'))
})

test.each(['HTTP/1.1 200 OK\r\n\r\nhello\n', 'HTTP/1.1 200 OK\r\n\r\n', 'x'])(
  'an answer that no lab’s server gives is an error: %j',
  async (answer) => {
    expect(await askWebServer(await serving(answer), to, never)).toMatchObject({ ok: false })
  },
)

test('asks again and again until it is stopped', async () => {
  const netns = await serving('HTTP/1.1 200 OK\r\n\r\nweb-1 on n1, asked by 10.0.4.5\n')
  const stopped = new AbortController()
  const asking = askUntilStopped(netns, to, stopped.signal, never)
  await expect.poll(() => askWebServer(netns, to, never)).toMatchObject({ ok: true })
  stopped.abort()
  const replies = await asking
  expect(replies.length).toBeGreaterThan(0)
  expect(replies.every(({ reply }) => reply.ok)).toBe(true)
})
