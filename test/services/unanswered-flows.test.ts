import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import type { EndpointManifest, Packet } from '../../src/proxy/manifests.fixture.ts'
import { at, node as model, slice, web } from '../../src/proxy/one-service.fixture.ts'
import { nodeAddress, PacketNode } from './packet-node.ts'
import type { Flow } from './probe-packet.ts'

// A client that goes on sending to an endpoint that is gone must not stay with it: to the kernel a SYN that is sent again,
// and every packet of a UDP flow without an answer, are `new` as the first one was.

let node: PacketNode
beforeAll(() => {
  node = new PacketNode()
})
afterAll(async () => {
  await node[Symbol.asyncDispose]()
})
beforeEach(() => node.startAnew())

const pod = '10.0.1.9'
const to = { destination: '10.96.0.1', port: 80 }
const become = (protocol: string, endpoints: readonly EndpointManifest[]): Promise<string> =>
  node.become({
    services: [web({ sessionAffinity: 'ClientIP', ports: [{ port: 80, protocol }] })],
    slices: [slice(endpoints, { ports: [{ name: '', port: 8080, protocol }] })],
    node: model,
  })

test.each<readonly [Packet['protocol'], string, Packet['from'], string]>([
  ['TCP', 'a pod', 'podLocal', pod],
  ['TCP', 'the host', 'host', nodeAddress],
  ['UDP', 'a pod', 'podLocal', pod],
  ['UDP', 'the host', 'host', nodeAddress],
  ['SCTP', 'a pod', 'podLocal', pod],
])(
  '%s: an endpoint that went is not learned again from %s that goes on asking it',
  async (protocol, _who, from, source) => {
    const flow: Flow = {
      protocol,
      source,
      sourcePort: 1000,
      destination: to.destination,
      destinationPort: to.port,
    }
    const arrivals = (): readonly string[] => node.pass({ kind: 'question', flow }).map((seen) => seen.flow.destination)
    await become(protocol, [at('there')])
    expect(arrivals()).toEqual(['10.0.2.1'])
    expect(node.learned(protocol)).toEqual(['10.0.2.1'])
    await become(protocol, [at('there2')])
    expect(node.learned(protocol)).toEqual([])
    for (let round = 0; round < 3; round++) expect(arrivals()).toEqual(['10.0.2.1'])
    expect(node.learned(protocol)).toEqual([])
    const next = node.begin({ from, source, ...to, protocol })
    expect(next).toMatchObject({ kind: 'forward', endpoint: '10.0.2.2:8080' })
    for (let round = 0; round < 3; round++) expect(arrivals()).toEqual(['10.0.2.1'])
    expect(node.learned(protocol)).toEqual(['10.0.2.2'])
  },
)
