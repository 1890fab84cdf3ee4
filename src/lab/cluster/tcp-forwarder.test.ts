import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import net from 'node:net'
import { text } from 'node:stream/consumers'
import { expect, test } from 'vitest'
import { parseIpv4 } from '../../base/ip.ts'
import { unwrap } from '../../base/result.ts'
import type { Fd } from '../../linux/fd.ts'
import { changeLink } from '../../linux/netlink/link.ts'
import { NetlinkSocket } from '../../linux/netlink/socket.ts'
import { createNamedNetns, openNetns, removeNamedNetns, withNetns } from '../../linux/netns.ts'
import { connectIn } from '../../linux/tcp-attempt.ts'
import { TcpForwarder } from './tcp-forwarder.ts'

const loopback = unwrap(parseIpv4('127.0.0.1'))

/** A namespace whose loopback is up. */
function namespace(): Disposable & { readonly fd: Fd } {
  const name = `forward-${randomBytes(4).toString('hex')}`
  createNamedNetns(name)
  const fd = unwrap(openNetns(`/run/netns/${name}`))
  using socket = withNetns(fd, () => new NetlinkSocket())
  unwrap(socket.request([changeLink({ ifindex: 1, up: true })]))
  const remove = (): void => {
    fd[Symbol.dispose]()
    removeNamedNetns(name)
  }
  return { fd, [Symbol.dispose]: remove }
}

async function listening(server: net.Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as net.AddressInfo).port
}

test('a server of this machine is reached inside a namespace, both ways, with half-closed connections', async () => {
  using inside = namespace()
  const server = net.createServer({ allowHalfOpen: true }, (connection) => {
    // Answers when the request is complete: its end has to come through first.
    void text(connection).then((request) => connection.end(`you said ${request}`))
  })
  const port = await listening(server)
  await using _forwarder = await TcpForwarder.start({
    netns: inside.fd,
    address: loopback,
    port: 6443,
    target: { host: '127.0.0.1', port },
  })
  const client = connectIn(inside.fd, '127.0.0.1', 6443)
  client.end('hello')
  expect(await text(client)).toBe('you said hello')
  server.close()
})

test('where nobody listens behind it, a connection is broken instead of left to wait', async () => {
  using inside = namespace()
  const gone = net.createServer()
  const port = await listening(gone)
  gone.close()
  await once(gone, 'close')
  const target = { host: '127.0.0.1', port }
  await using _forwarder = await TcpForwarder.start({ netns: inside.fd, address: loopback, port: 6443, target })
  const client = connectIn(inside.fd, '127.0.0.1', 6443)
  const [error] = (await once(
    client.on('connect', () => client.write('hello')),
    'error',
  )) as [NodeJS.ErrnoException]
  expect(error.code).toMatch(/ECONNRESET|EPIPE/)
})

test('another namespace does not see it', async () => {
  using inside = namespace()
  using other = namespace()
  const target = { host: '127.0.0.1', port: 1 }
  await using _forwarder = await TcpForwarder.start({ netns: inside.fd, address: loopback, port: 6443, target })
  const [error] = (await once(connectIn(other.fd, '127.0.0.1', 6443), 'error')) as [NodeJS.ErrnoException]
  expect(error.code).toBe('ECONNREFUSED')
})
