import { describe, expect, test } from 'vitest'
import type { Packet, ServiceManifest } from './manifests.fixture.ts'
import {
  addresses,
  at,
  both,
  draining,
  local,
  packet,
  unready,
  vip,
  web,
  type Row,
  verdicts,
} from './one-service.fixture.ts'

function check(rows: readonly Row[]): void {
  test.each(rows)('%s', (_sentence, service, given, packet, expected) => {
    expect(verdicts(service, given, packet)).toEqual({ byTable: expected, byModel: expected })
  })
}

describe('the cluster IP', () => {
  const to = (from: Packet['from'], change?: Partial<Packet>): Packet => packet(from, 'the cluster IP', change)
  const internal = web({ internalTrafficPolicy: 'Local' })
  check([
    ['a local pod keeps its address', web(), both, to('podLocal'), 'to here, there as itself'],
    ['so does this host', web(), both, to('host'), 'to here, there as itself'],
    ['a remote pod is masqueraded', web(), both, to('podRemote'), 'to here, there as the node'],
    ['so is a client from outside', web(), both, to('external'), 'to here, there as the node'],
    ['the external policy is not asked', web(local), [at('there')], to('external'), 'to there as the node'],
    [
      'a pod that reaches itself is masqueraded',
      web(),
      both,
      to('podLocal', { source: addresses.here }),
      'to there as itself to here as the node',
    ],
    ['internal policy Local keeps to this node', internal, both, to('podLocal'), 'to here as itself'],
    ['for this host too', internal, both, to('host'), 'to here as itself'],
    ['with none on this node it drops', internal, [at('there')], to('podLocal'), 'drop'],
    ['with none anywhere it rejects', internal, [at('there', unready)], to('podLocal'), 'reject'],
    [
      'with terminating ones here it uses them, though others are ready elsewhere',
      internal,
      [at('here', draining), at('there')],
      to('podLocal'),
      'to here as itself',
    ],
    [
      'the internal policy does not bind external frontends',
      internal,
      both,
      packet('external', 'the node port'),
      'to here, there as the node',
    ],
  ])
})

describe.each(['the node port', 'the external IP', 'the load balancer'] as const)('%s', (door) => {
  const to = (from: Packet['from'], change?: Partial<Packet>): Packet => packet(from, door, change)
  const open = web({}, [vip])
  const kept = web(local, [vip])
  check([
    ['policy Cluster masquerades a client from outside', open, both, to('external'), 'to here, there as the node'],
    ['and a remote pod', open, both, to('podRemote'), 'to here, there as the node'],
    ['and a local pod', open, both, to('podLocal'), 'to here, there as the node'],
    ['and this host', open, both, to('host'), 'to here, there as the node'],
    ['no endpoint anywhere: rejected', open, [], to('external'), 'reject'],
    ['policy Local keeps a client on this node, with its address', kept, both, to('external'), 'to here as itself'],
    ['a remote pod is such a client', kept, both, to('podRemote'), 'to here as itself'],
    ['a local pod has the cluster policy, without masquerade', kept, both, to('podLocal'), 'to here, there as itself'],
    ['this host has the cluster policy, masqueraded', kept, both, to('host'), 'to here, there as the node'],
    ['policy Local with none here: dropped', kept, [at('there')], to('external'), 'drop'],
    ['though local pods get through', kept, [at('there')], to('podLocal'), 'to there as itself'],
    ['and this host does', kept, [at('there')], to('host'), 'to there as the node'],
    ['policy Local with none anywhere: rejected', kept, [at('there', unready)], to('external'), 'reject'],
    [
      'policy Local falls back to terminating ones here',
      kept,
      [at('here', draining), at('there')],
      to('external'),
      'to here as itself',
    ],
    [
      'a local pod meanwhile has the ready ones',
      kept,
      [at('here', draining), at('there')],
      to('podLocal'),
      'to there as itself',
    ],
    [
      'hairpin is masqueraded',
      kept,
      both,
      to('podLocal', { source: addresses.here }),
      'to there as itself to here as the node',
    ],
  ])
})

describe('node ports', () => {
  check([
    ['are never open on localhost', web(), both, packet('host', 'the node port', { destination: '127.0.0.1' }), 'pass'],
    [
      'are not open on other addresses',
      web(),
      both,
      packet('external', 'the node port', { destination: '10.0.0.6' }),
      'pass',
    ],
    ['are as many as there are', web({ ports: [{ port: 80 }] }), both, packet('external', 'the node port'), 'pass'],
  ])
})

describe('load balancers', () => {
  const to = (from: Packet['from'], change?: Partial<Packet>): Packet => packet(from, 'the load balancer', change)
  const admitting = (...ranges: readonly string[]): ServiceManifest => web({ loadBalancerSourceRanges: ranges }, [vip])
  const ours = '10.0.0.0/16'
  check([
    [
      'mode VIP is a frontend',
      web({}, [{ ...vip, ipMode: 'VIP' }]),
      both,
      to('external'),
      'to here, there as the node',
    ],
    [
      'mode Proxy is none: the packet goes to the load balancer',
      web({}, [{ ...vip, ipMode: 'Proxy' }]),
      both,
      to('podLocal'),
      'pass',
    ],
    ['one with a name only is none', web({}, [{ hostname: 'lb' }]), both, to('podLocal'), 'pass'],
    [
      'a source within the ranges may come',
      admitting('192.0.2.0/24'),
      both,
      to('external'),
      'to here, there as the node',
    ],
    ['others are dropped', admitting('198.51.100.0/24'), both, to('external'), 'drop'],
    ['local pods as well', admitting('192.0.2.0/24'), both, to('podLocal'), 'drop'],
    ['even when nobody would serve them', admitting('198.51.100.0/24'), [], to('external'), 'drop'],
    [
      'ranges do not apply to node ports',
      admitting('198.51.100.0/24'),
      both,
      packet('external', 'the node port'),
      'to here, there as the node',
    ],
    [
      'nor to external IPs',
      admitting('198.51.100.0/24'),
      both,
      packet('external', 'the external IP'),
      'to here, there as the node',
    ],
    [
      'nor to the cluster IP',
      admitting('198.51.100.0/24'),
      both,
      packet('podLocal', 'the cluster IP'),
      'to here, there as itself',
    ],
    [
      'an admitted node may come from the VIP itself',
      admitting(ours),
      both,
      to('host', { source: vip.ip }),
      'to here, there as the node',
    ],
    ['another may not', admitting('192.0.2.0/24'), both, to('host', { source: vip.ip }), 'drop'],
    [
      'ranges of IPv6 do not restrict IPv4',
      admitting('2001:db8::/32'),
      both,
      to('external'),
      'to here, there as the node',
    ],
    ['a range that cannot be read admits nobody', admitting('everybody'), both, to('external'), 'drop'],
    [
      'but leaves the others alone',
      admitting('everybody', '192.0.2.0/24'),
      both,
      to('external'),
      'to here, there as the node',
    ],
    [
      'an external IP that is the VIP as well is restricted',
      web({ loadBalancerSourceRanges: [ours], externalIPs: [vip.ip] }, [vip]),
      both,
      to('external'),
      'drop',
    ],
  ])
})

describe('session affinity', () => {
  const sticky = (timeoutSeconds?: number): ServiceManifest =>
    web({
      sessionAffinity: 'ClientIP',
      ...(timeoutSeconds !== undefined && { sessionAffinityConfig: { clientIP: { timeoutSeconds } } }),
    })
  check([
    [
      'holds as long as it says',
      sticky(600),
      both,
      packet('podLocal', 'the cluster IP'),
      'to here, there as itself for 600 s',
    ],
    [
      'holds three hours when it does not say',
      sticky(),
      both,
      packet('podLocal', 'the cluster IP'),
      'to here, there as itself for 10800 s',
    ],
    [
      'holds for external frontends too',
      sticky(600),
      both,
      packet('external', 'the node port'),
      'to here, there as the node for 600 s',
    ],
    [
      'is off without being asked for',
      web({ sessionAffinity: 'None', sessionAffinityConfig: { clientIP: { timeoutSeconds: 600 } } }),
      both,
      packet('podLocal', 'the cluster IP'),
      'to here, there as itself',
    ],
  ])
})
