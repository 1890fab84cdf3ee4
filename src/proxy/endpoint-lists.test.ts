import { describe, expect, test } from 'vitest'
import type { EndpointManifest, ServiceManifest, SliceManifest } from './manifests.fixture.ts'
import {
  addresses,
  at,
  both,
  draining,
  dying,
  forNode,
  forZone,
  local,
  packet,
  slice,
  unready,
  web,
  type Row,
  verdicts,
} from './one-service.fixture.ts'

function check(rows: readonly Row[]): void {
  test.each(rows)('%s', (_sentence, service, given, packet, expected) => {
    expect(verdicts(service, given, packet)).toEqual({ byTable: expected, byModel: expected })
  })
}

describe('who serves', () => {
  const labelled = (label: string): ServiceManifest => {
    const service = web()
    return { ...service, metadata: { ...service.metadata, labels: { [label]: '' } } }
  }
  const labelledSlice = (label: string): SliceManifest => {
    const one = slice(both)
    return { ...one, metadata: { ...one.metadata, labels: { ...one.metadata.labels, [label]: '' } } }
  }
  const second = (endpoints: readonly EndpointManifest[]): SliceManifest =>
    slice(endpoints, { metadata: { ...slice([]).metadata, name: 'web-2' } })
  const pod = packet('podLocal', 'the cluster IP')
  check([
    ['every ready endpoint may be chosen', web(), both, pod, 'to here, there as itself'],
    [
      'another proxy serves a Service with its label',
      labelled('service.kubernetes.io/service-proxy-name'),
      both,
      pod,
      'pass',
    ],
    ['nobody serves a Service labelled headless', labelled('service.kubernetes.io/headless'), both, pod, 'pass'],
    [
      'a slice for another proxy is not read',
      web(),
      [labelledSlice('service.kubernetes.io/service-proxy-name')],
      pod,
      'reject',
    ],
    ['a slice labelled headless is not read', web(), [labelledSlice('service.kubernetes.io/headless')], pod, 'reject'],
    [
      'a headless Service has no frontend',
      web({ clusterIP: 'None' }),
      both,
      packet('external', 'the node port'),
      'pass',
    ],
    [
      'a Service without cluster IP has none either',
      web({ clusterIP: '' }),
      both,
      packet('external', 'the node port'),
      'pass',
    ],
    ['ExternalName has none even with a cluster IP', web({ type: 'ExternalName' }), both, pod, 'pass'],
    ['a slice of names is not read', web(), [slice(both, { addressType: 'FQDN' })], pod, 'reject'],
    [
      'a slice of the other family is not read',
      web(),
      [slice([{ addresses: ['fd00::1'] }], { addressType: 'IPv6' })],
      pod,
      'reject',
    ],
    [
      'a slice of another namespace is not read',
      web(),
      [slice(both, { metadata: { ...slice([]).metadata, namespace: 'y' } })],
      pod,
      'reject',
    ],
    ['a port without a name is skipped', web(), [slice(both, { ports: [{ port: 8080 }] })], pod, 'reject'],
    ['a port without a number is skipped', web(), [slice(both, { ports: [{ name: '' }] })], pod, 'reject'],
    ['an endpoint without an address is skipped', web(), [{ addresses: [] }, at('there')], pod, 'to there as itself'],
    [
      'a port of another name is not joined',
      web(),
      [slice(both, { ports: [{ name: 'admin', port: 8080 }] })],
      pod,
      'reject',
    ],
    [
      'a port of another protocol is not joined',
      web(),
      [slice(both, { ports: [{ name: '', protocol: 'UDP', port: 8080 }] })],
      pod,
      'reject',
    ],
    [
      'UDP is joined with UDP',
      web({ ports: [{ port: 80, protocol: 'UDP' }] }),
      [slice(both, { ports: [{ name: '', protocol: 'UDP', port: 8080 }] })],
      { ...pod, protocol: 'UDP' },
      'to here, there as itself',
    ],
    [
      'SCTP is joined with SCTP',
      web({ ports: [{ port: 80, protocol: 'SCTP' }] }),
      [slice(both, { ports: [{ name: '', protocol: 'SCTP', port: 8080 }] })],
      { ...pod, protocol: 'SCTP' },
      'to here, there as itself',
    ],
    ['another protocol of the same port passes', web(), both, { ...pod, protocol: 'UDP' }, 'pass'],
    ['another port of the same address passes', web(), both, { ...pod, port: 81 }, 'pass'],
    ['an endpoint that is no pod is as good as any', web(), [at('outside')], pod, 'to outside as itself'],
    [
      'only the first of several addresses is used',
      web(),
      [{ addresses: [addresses.there, addresses.there2] }],
      pod,
      'to there as itself',
    ],
    [
      'an endpoint in two slices counts once',
      web(),
      [slice(both), second([at('there')])],
      pod,
      'to here, there as itself',
    ],
    [
      'as ready, when it is so in one of them',
      web(),
      [slice([at('here', unready)]), second([at('here')])],
      pod,
      'to here as itself',
    ],
    [
      'or as serving to its end',
      web(),
      [slice([at('here', dying)]), second([at('here', draining)])],
      pod,
      'to here as itself',
    ],
    [
      'or as on this node',
      web({ internalTrafficPolicy: 'Local' }),
      [slice([{ addresses: [addresses.here] }]), second([at('here')])],
      pod,
      'to here as itself',
    ],
  ])
})

describe('conditions', () => {
  const pod = packet('podLocal', 'the cluster IP')
  check([
    ['unknown readiness means ready', web(), [at('here', {}), at('there', { ready: false })], pod, 'to here as itself'],
    ['unready endpoints are not chosen', web(), [at('here', unready), at('there')], pod, 'to there as itself'],
    [
      'terminating ones are not while there are ready ones',
      web(),
      [at('here', draining), at('there')],
      pod,
      'to there as itself',
    ],
    [
      'when all terminate, those that serve are',
      web(),
      [at('here', draining), at('there', dying)],
      pod,
      'to here as itself',
    ],
    [
      'unknown serving means serving',
      web(),
      [at('here', { ready: false, terminating: true })],
      pod,
      'to here as itself',
    ],
    ['serving without terminating is no help', web(), [at('here', { ready: false, serving: true })], pod, 'reject'],
    [
      'a terminating one that is ready all the same is ready',
      web(),
      [at('here', { ready: true, terminating: true }), at('there')],
      pod,
      'to here, there as itself',
    ],
    ['no endpoint anywhere: rejected', web(), [at('here', unready), at('there', dying)], pod, 'reject'],
    ['no slice at all: rejected', web(), [], pod, 'reject'],
  ])
})

describe('topology hints', () => {
  const pod = packet('podLocal', 'the cluster IP')
  check([
    [
      'only endpoints meant for our zone',
      web(),
      [at('here', {}, forZone('z2')), at('there', {}, forZone('z1'))],
      pod,
      'to there as itself',
    ],
    [
      'one ready endpoint without a hint voids all',
      web(),
      [at('here', {}, forZone('z2')), at('there', {}, forZone('z1')), at('there2')],
      pod,
      'to here, there, there2 as itself',
    ],
    [
      'an unready one without a hint does not',
      web(),
      [at('here', {}, forZone('z2')), at('there', {}, forZone('z1')), at('there2', unready)],
      pod,
      'to there as itself',
    ],
    [
      'none for our zone voids all',
      web(),
      [at('here', {}, forZone('z2')), at('there', {}, forZone('z3'))],
      pod,
      'to here, there as itself',
    ],
    [
      'a hint may name several zones',
      web(),
      [at('here', {}, forZone('z3', 'z1')), at('there', {}, forZone('z2'))],
      pod,
      'to here as itself',
    ],
    [
      'hints for our node come before those for our zone',
      web(),
      [
        at('here', {}, { ...forNode('here'), ...forZone('z2') }),
        at('there', {}, { ...forNode('there'), ...forZone('z1') }),
      ],
      pod,
      'to here as itself',
    ],
    [
      'node hints that name others leave it to the zones',
      web(),
      [at('here', {}, { ...forNode('n3'), ...forZone('z2') }), at('there', {}, { ...forNode('n4'), ...forZone('z1') })],
      pod,
      'to there as itself',
    ],
    [
      'node hints that some lack leave it to the zones',
      web(),
      [at('here', {}, { ...forNode('here'), ...forZone('z2') }), at('there', {}, forZone('z1'))],
      pod,
      'to there as itself',
    ],
    [
      'terminating ones are chosen without regard to hints',
      web(),
      [at('here', draining, forZone('z2')), at('there', draining, forZone('z1'))],
      pod,
      'to here, there as itself',
    ],
    [
      'the Local policy has no regard for hints',
      web(local),
      [at('here', {}, forZone('z2')), at('there', {}, forZone('z1'))],
      packet('external', 'the node port'),
      'to here as itself',
    ],
  ])
})
