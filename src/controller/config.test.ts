import { describe, expect, test } from 'vitest'
import { unwrap } from '../base/result.ts'
import { parseControllerConfig } from './config.ts'

const smallest = { cluster: 'lab', oci: { authentication: { kind: 'instancePrincipal' } } }
const key = { kind: 'key', tenancyId: 't', userId: 'u', fingerprint: 'f', privateKeyFile: '/key.pem' }

function parsed(over: Readonly<Record<string, unknown>> = {}) {
  return parseControllerConfig({ ...smallest, ...over })
}

test('the cluster and the way to OCI are enough, and the rest is as documented', () => {
  expect(unwrap(parsed())).toEqual({
    cluster: 'lab',
    oci: { authentication: { kind: 'instancePrincipal' } },
    rate: { perSecond: 20, burst: 5 },
    defaults: {
      podSubnetIds: [],
      networkSecurityGroupIds: [],
      maxPodCount: 110,
      elastic: { mode: 'Elastic', minimumAddresses: 8, warmAddresses: 8 },
    },
    resyncMs: 300_000,
    shrinkDelayMs: 60_000,
    releasePatienceMs: 120_000,
    refusalMs: 30_000,
    attachPollMs: 1000,
    workers: 256,
    orphans: { sweepMs: 600_000, graceMs: 900_000, detach: true },
    lease: { namespace: 'kube-system', name: 'vcn-cni-controller', durationMs: 15_000 },
    logLevel: 'info',
  })
})

test.each([
  ['an API key', key],
  ['a configuration file of Oracle’s CLI', { kind: 'configFile', path: '/root/.oci/config', profile: 'LAB' }],
  ['that file at its usual place', { kind: 'configFile' }],
])('authentication by %s', (_, authentication) => {
  expect(unwrap(parsed({ oci: { authentication } })).oci.authentication).toEqual(authentication)
})

test('a default that is not given stays the default when another one of its group is', () => {
  const { defaults, orphans } = unwrap(
    parsed({ defaults: { elastic: { mode: 'Compatible' } }, orphans: { detach: false } }),
  )
  expect(defaults.elastic).toEqual({ mode: 'Compatible', minimumAddresses: 8, warmAddresses: 8 })
  expect(orphans).toEqual({ sweepMs: 600_000, graceMs: 900_000, detach: false })
})

describe('refused with the field and what would be valid', () => {
  const elastic = (over: Readonly<Record<string, unknown>>) => ({ defaults: { elastic: over } })
  test.each<[what: string, over: Readonly<Record<string, unknown>>, field: string, problem: RegExp]>([
    ['no cluster', { cluster: undefined }, 'cluster', /^is required: must be the cluster’s id$/],
    ['a cluster of 257 characters', { cluster: 'x'.repeat(257) }, 'cluster', /^must have at most 256 characters/],
    ['no way to authenticate', { oci: {} }, 'oci.authentication', /^is required|must be|kind/],
    [
      'an unknown kind of authentication',
      { oci: { authentication: { kind: 'password' } } },
      'oci.authentication.kind',
      /^kind must be instancePrincipal, configFile or key/,
    ],
    [
      'a relative path to the key',
      { oci: { authentication: { ...key, privateKeyFile: 'key.pem' } } },
      'oci.authentication.privateKeyFile',
      /^must be an absolute path \(got "key.pem"\)$/,
    ],
    [
      'an endpoint that is no URL',
      { oci: { ...smallest.oci, endpoint: 'iaas' } },
      'oci.endpoint',
      /^must be a URL such as https:/,
    ],
    ['a misspelt field', { clutser: 'lab' }, 'clutser', /^is not a known field$/],
    ['a misspelt field further in', { lease: { nmae: 'x' } }, 'lease.nmae', /^is not a known field$/],
    ['no calls a second', { rate: { perSecond: 0 } }, 'rate.perSecond', /^must be above 0 \(got 0\)$/],
    ['a burst of a half', { rate: { burst: 0.5 } }, 'rate.burst', /^must be a whole number from 1 to 1000/],
    ['no pods', { defaults: { maxPodCount: 0 } }, 'defaults.maxPodCount', /^must be a whole number from 1 to 1536/],
    [
      'six subnets',
      { defaults: { podSubnetIds: [1, 2, 3, 4, 5, 6].map((at) => `ocid1.subnet.oc1.iad.s${at}`) } },
      'defaults.podSubnetIds',
      /^must have at most 5 entries/,
    ],
    [
      'a VCN where a subnet belongs',
      { defaults: { podSubnetIds: ['ocid1.vcn.oc1.iad.a'] } },
      'defaults.podSubnetIds[0]',
      /is the OCID of a vcn; expected a subnet/,
    ],
    [
      'a name where a group’s OCID belongs',
      { defaults: { networkSecurityGroupIds: ['pods'] } },
      'defaults.networkSecurityGroupIds[0]',
      /^"pods" is not an OCID; expected a network security group/,
    ],
    [
      'a minimum above the maximum',
      elastic({ minimumAddresses: 9, maximumAddresses: 8 }),
      'defaults.elastic.minimumAddresses',
      /^must be at most maximumAddresses/,
    ],
    [
      'a default minimum above the given maximum',
      elastic({ maximumAddresses: 4 }),
      'defaults.elastic.minimumAddresses',
      /^must be at most maximumAddresses/,
    ],
    ['an unknown mode', elastic({ mode: 'Static' }), 'defaults.elastic.mode', /^must be Elastic or Compatible/],
    ['a warm margin below zero', elastic({ warmAddresses: -1 }), 'defaults.elastic.warmAddresses', /^must be a whole/],
    ['a resync of no time', { resyncSeconds: 0 }, 'resyncSeconds', /^must be a whole number from 1 to 86400/],
    ['too hasty a poll', { attachPollSeconds: 0.01 }, 'attachPollSeconds', /^must be at least 0.05/],
    ['too lazy a poll', { attachPollSeconds: 61 }, 'attachPollSeconds', /^must be at most 60 \(got 61\)$/],
    ['too loud a log', { logLevel: 'trace' }, 'logLevel', /^must be debug, info, warn or error/],
  ])('%s', (_what, over, field, problem) => {
    const result = parsed(over)
    expect(result.ok ? [] : result.error).toEqual([{ field, problem: expect.stringMatching(problem) as string }])
  })

  test('an empty file', () => {
    const result = parseControllerConfig(null)
    expect(result.ok ? [] : result.error.map(({ field }) => field)).toEqual(['cluster', 'oci'])
  })
})
