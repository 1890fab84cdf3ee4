import type net from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { nft } from '../../src/nftables/nft-listing.fixture.ts'
import { MeshedPair, type PodOptions } from './meshed-pair.ts'

const port = 8080
const serverAddress = '10.66.0.2'
let pair: MeshedPair | undefined
afterEach(() => pair?.[Symbol.asyncDispose]())

async function start(client: PodOptions, server: PodOptions | undefined): Promise<MeshedPair> {
  pair = await MeshedPair.start(client, server)
  return pair
}

/** Answers when the request has ended: what it was, and who asked. */
function answer(socket: net.Socket): void {
  const chunks: Buffer[] = []
  socket.on('data', (chunk: Buffer) => chunks.push(chunk))
  socket.on('end', () => socket.end(`${socket.remoteAddress ?? ''} asked ${Buffer.concat(chunks).toString()}`))
}

describe.each([
  ['istio', '127.0.0.6', `${serverAddress}:${port}`],
  ['linkerd', '127.0.0.1', `127.0.0.1:${port}`],
] as const)('between two pods of profile %s', (profile, askedFrom, upstream) => {
  test('a connection is encrypted by the sidecars, who know each other and where it was sent to', async () => {
    const { client, server } = await start({ profile }, { profile })
    await server.serve(port, answer)
    expect(await client.ask(serverAddress, port, 'something')).toBe(`${askedFrom} asked something`)
    const common = { originalDestination: `${serverAddress}:${port}`, bytesIn: 9, outcome: 'closed' }
    expect(await client.record('outbound')).toMatchObject({ ...common, peer: 'spiffe://lab/ns/default/pod/server' })
    expect(await server.record('inbound')).toMatchObject({
      ...common,
      upstream,
      peer: 'spiffe://lab/ns/default/pod/client',
    })
  })

  test('without certificates it is carried in plain, and logged as such', async () => {
    const { client, server } = await start({ profile, isPlain: true }, { profile, isPlain: true })
    await server.serve(port, answer)
    expect(await client.ask(serverAddress, port, 'something')).toBe(`${askedFrom} asked something`)
    const record = await server.record('inbound')
    expect(record).toMatchObject({ source: expect.stringMatching(/^10\.66\.0\.1:/) as string, outcome: 'closed' })
    expect(record).not.toHaveProperty('peer')
  })
})

test('who listens on the wire gets a handshake, and nothing of what was said', async () => {
  const { client, server } = await start({}, undefined)
  const seen: Buffer[] = []
  await server.serve(port, (socket) => {
    socket.on('data', (chunk: Buffer) => {
      seen.push(chunk)
      socket.destroy()
    })
  })
  await client.ask(serverAddress, port, 'secret words')
  const wire = Buffer.concat(seen)
  expect(wire[0]).toBe(0x16)
  expect(wire.toString('latin1')).not.toContain('secret')
})

test.each<[string, PodOptions, PodOptions, RegExp]>([
  ['a client of another authority', { isForeign: true }, {}, /^refused: its certificate is refused: /],
  ['a server of another authority', {}, { isForeign: true }, /^refused: .*(?:ended|certificate|alert)/],
  ['a client that does not encrypt, by a strict server', { isPlain: true }, { isStrict: true }, /not encrypted/],
])('refused is %s', async (_, ofClient, ofServer, because) => {
  const { client, server } = await start(ofClient, ofServer)
  await server.serve(port, answer)
  expect(await client.ask(serverAddress, port, 'something')).not.toContain('asked')
  expect((await server.record('inbound')).outcome).toMatch(because)
})

test('a client without a sidecar is let in by a server that is not strict', async () => {
  const { client, server } = await start({ isPlain: true }, {})
  await server.serve(port, answer)
  expect(await client.ask(serverAddress, port, 'something')).toBe('127.0.0.6 asked something')
})

test('a server that speaks first is heard, though nobody has said whether it is to be encrypted', async () => {
  const { client, server } = await start({ isPlain: true }, {})
  await server.serve(port, (socket) => socket.end('welcome'))
  expect(await client.ask(serverAddress, port, '')).toBe('welcome')
})

test('who is meshed may change while the sidecar runs', async () => {
  const { client, server, tellPeers } = await startWithPeers([])
  await server.serve(port, answer)
  await client.ask(serverAddress, port, 'one')
  tellPeers([serverAddress])
  await client.ask(serverAddress, port, 'two')
  await expect
    .poll(() => client.records.map(({ peer }) => peer))
    .toEqual([undefined, 'spiffe://lab/ns/default/pod/server'])
})

async function startWithPeers(
  addresses: readonly string[],
): Promise<Pick<MeshedPair, 'client' | 'server' | 'tellPeers'>> {
  const started = await start({}, {})
  started.tellPeers(addresses)
  return { client: started.client, server: started.server, tellPeers: (now) => started.tellPeers(now) }
}

test.each([
  ['inbound', 15_006],
  ['outbound', 15_001],
] as const)('a connection to the %s port itself is refused, and makes no loop', async (_, own) => {
  const { client, server } = await start({ isPlain: true }, { isPlain: true })
  // From a client without a sidecar.
  nft(client.netns, 'delete', 'table', 'inet', 'vcn-mesh')
  expect(await client.ask(serverAddress, own, 'x')).toMatch(/^(?:ECONNRESET|EPIPE|)$/)
  await expect
    .poll(() => server.records.map(({ outcome }) => outcome))
    .toEqual([`refused: it was sent to the sidecar’s own port ${own}`])
})

test('ten megabytes go both ways, with each direction ended by itself', async () => {
  const { client, server } = await start({}, {})
  await server.serve(port, (socket) => socket.pipe(socket))
  const much = Buffer.alloc(10 * 2 ** 20, 'abcdefgh')
  expect((await client.ask(serverAddress, port, much)).length).toBe(much.length)
  expect(await client.record('outbound')).toMatchObject({ bytesIn: much.length, bytesOut: much.length })
})

test('an application that does not listen is a refusal for the client', async () => {
  const { client, server } = await start({}, {})
  expect(await client.ask(serverAddress, port, 'x')).not.toContain('asked')
  expect((await server.record('inbound')).outcome).toMatch(/^refused: .*ECONNREFUSED/)
})

test('with a sidecar that has ended connections are refused, and do not pass it by', async () => {
  const { client, server } = await start({}, {})
  await server.serve(port, answer)
  await server.stopSidecar()
  expect(await client.ask(serverAddress, port, 'x')).not.toContain('asked')
  await client.stopSidecar()
  expect(await client.ask(serverAddress, port, 'x')).toBe('ECONNREFUSED')
})
