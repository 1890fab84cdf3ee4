import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { at, node as model, slice, web } from '../../src/proxy/one-service.fixture.ts'
import { PacketNode } from './packet-node.ts'
import { type Flow, turned } from './probe-packet.ts'

// What an endpoint sends beyond every window belongs to no connection for the kernel, and is not translated back. A client
// who gets it as it is resets the endpoint's connection (kubernetes#74839).

let node: PacketNode
beforeAll(() => {
  node = new PacketNode()
})
afterAll(async () => {
  await node[Symbol.asyncDispose]()
})
beforeEach(async () => {
  await node.startAnew()
  node.sysctl(liberal, 0)
  await node.become({ services: [web()], slices: [slice([at('there')])], node: model })
})

const liberal = 'net.netfilter.nf_conntrack_tcp_be_liberal'
const pod = '10.0.1.9'
const virtual = '10.96.0.1'
const endpoint = '10.0.2.1'
const other = '10.0.2.77'

/** The answering side's packets of a conversation that a pod begins with an address. */
function converse(address: string, port: number): Flow {
  const flow = { protocol: 'TCP', source: pod, sourcePort: 1000, destination: address, destinationPort: port } as const
  const [arrived] = node.pass({ kind: 'question', flow })
  if (arrived === undefined) throw new Error(`nothing arrived of what was sent to ${address}`)
  const back = turned(arrived.flow)
  node.pass({ kind: 'answer', flow: back })
  return back
}

/** What comes to the pod, by its sender. */
const passed = (flow: Flow, kind: 'answer' | 'stray'): readonly string[] =>
  node.pass({ kind, flow }).map((seen) => `${seen.kind} from ${seen.flow.source} at ${seen.at}`)

test('an endpoint’s segment beyond the window comes to nobody', () => {
  const back = converse(virtual, 80)
  expect(back.source).toBe(endpoint)
  expect(passed(back, 'stray')).toEqual([])
  expect(passed(back, 'answer'), 'and the connection goes on').toEqual([`answer from ${virtual} at oci2`])
})

test('where the kernel is told to be liberal about windows it is translated', () => {
  node.sysctl(liberal, 1)
  expect(passed(converse(virtual, 80), 'stray')).toEqual([`stray from ${virtual} at oci2`])
})

test('those of who is no endpoint pass as they are', () => {
  expect(passed(converse(other, 8080), 'stray')).toEqual([`stray from ${other} at oci2`])
})

test('so do answers to what went another way', () => {
  const back: Flow = { protocol: 'TCP', source: other, sourcePort: 8080, destination: pod, destinationPort: 1001 }
  expect(passed(back, 'answer')).toEqual([`answer from ${other} at oci2`])
})
