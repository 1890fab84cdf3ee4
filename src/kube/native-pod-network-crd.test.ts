import { readFileSync } from 'node:fs'
import { Ajv } from 'ajv'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import * as z from 'zod'
import {
  classicSpec,
  classicStatus,
  elasticSpec,
  elasticStatus,
  karpenterSpec,
  newerStatus,
} from './native-pod-network.fixture.ts'
import { npnLimits, parseNpnSpec } from './native-pod-network-spec.ts'
import { parseNpnStatus } from './native-pod-network-status.ts'
import { nativePodNetworks } from './resources.ts'

const definition = z
  .object({
    metadata: z.object({ name: z.string() }),
    spec: z.object({
      group: z.string(),
      scope: z.string(),
      names: z.object({ kind: z.string(), plural: z.string(), shortNames: z.array(z.string()) }),
      versions: z.tuple([
        z.object({
          name: z.string(),
          served: z.boolean(),
          storage: z.boolean(),
          subresources: z.object({ status: z.object({}) }),
          additionalPrinterColumns: z.array(z.object({ name: z.string(), priority: z.number().default(0) })),
          schema: z.object({ openAPIV3Schema: z.record(z.string(), z.unknown()) }),
        }),
      ]),
    }),
  })
  .parse(parse(readFileSync(new URL('../../deploy/crd.yaml', import.meta.url), 'utf8')))

const [version] = definition.spec.versions
const validate = new Ajv({ strict: false, validateFormats: false }).compile(version.schema.openAPIV3Schema)

test('the definition is of the resource that the client asks for', () => {
  const { group, plural, kind, namespaced } = nativePodNetworks
  expect(definition.metadata.name).toBe(`${plural}.${group}`)
  expect(definition.spec).toMatchObject({
    group,
    scope: 'Cluster',
    names: { kind, plural, shortNames: ['npn', 'npns'] },
  })
  expect(version).toMatchObject({ name: nativePodNetworks.version, served: true, storage: true })
  expect(namespaced).toBe(false)
})

test('kubectl get shows state, reason, node and age, and more when asked for', () => {
  const columns = version.additionalPrinterColumns
  expect(columns.filter(({ priority }) => priority === 0).map(({ name }) => name)).toEqual([
    'State',
    'Reason',
    'Used',
    'Assigned',
    'Wanted',
    'Node',
    'Age',
  ])
  expect(columns.filter(({ priority }) => priority > 0).map(({ name }) => name)).toContain('Addresses')
})

describe('schema and parser agree on', () => {
  const specs: readonly (readonly [string, object, boolean])[] = [
    ['OKE’s classic form', classicSpec, true],
    ['Karpenter’s form', karpenterSpec, true],
    ['our own wishes', elasticSpec, true],
    ['both families', { ...classicSpec, ipFamilies: ['IPv6', 'IPv4'] }, true],
    ['no wishes at all', { ...classicSpec, elastic: null, maxPodCount: null }, true],
    ['the most of everything', { ...classicSpec, maxPodCount: npnLimits.maxPodCount, podSubnetIds: ids(5) }, true],
    ['no id', { ...classicSpec, id: undefined }, false],
    ['an empty id', { ...classicSpec, id: '' }, false],
    ['no subnets', { ...classicSpec, podSubnetIds: undefined }, false],
    ['an empty list of subnets', { ...classicSpec, podSubnetIds: [] }, false],
    ['too many subnets', { ...classicSpec, podSubnetIds: ids(6) }, false],
    ['too many network security groups', { ...classicSpec, networkSecurityGroupIds: ids(6) }, false],
    ['too many pods', { ...classicSpec, maxPodCount: npnLimits.maxPodCount + 1 }, false],
    ['half a pod', { ...classicSpec, maxPodCount: 0.5 }, false],
    ['an unknown family', { ...classicSpec, ipFamilies: ['IPX'] }, false],
    ['three families', { ...classicSpec, ipFamilies: ['IPv4', 'IPv6', 'IPv4'] }, false],
    ['too many VNICs', { ...karpenterSpec, secondaryVnics: Array(65).fill({}) }, false],
    ['too many addresses on a VNIC', karpenterWith({ ipCount: npnLimits.ipCount + 1 }), false],
    ['a tag that is a number', karpenterWith({ freeformTags: { a: 1 } }), false],
    ['an unknown mode', { ...classicSpec, elastic: { mode: 'Rubber' } }, false],
    ['fewer than no addresses', { ...classicSpec, elastic: { warmAddresses: -1 } }, false],
    ['a maximum of nothing', { ...classicSpec, elastic: { maximumAddresses: 0 } }, false],
  ]
  test.each(specs)('a spec with %s', (_name, spec, isValid) => {
    expect({ schema: validate(plain({ spec })), parser: parseNpnSpec(plain(spec)).ok }).toEqual(both(isValid))
  })

  const statuses: readonly (readonly [string, object, boolean])[] = [
    ['nothing in it', {}, true],
    ['OKE’s classic form', classicStatus, true],
    ['the newer fields', newerStatus, true],
    ['ours', elasticStatus, true],
    ['an unknown state', { state: 'DONE' }, false],
    ['a VNIC without MAC address', vnic({ macAddress: undefined }), false],
    ['a VNIC with half a MAC address', vnic({ macAddress: '02:00:17' }), false],
    ['a VNIC without router', vnic({ routerIp: undefined }), false],
    ['a VLAN beyond 12 bits', vnic({ vlanTag: 4096 }), false],
    ['a release without its VNIC', { elastic: { releases: [{ address: '10.0.4.7', state: 'Marked' }] } }, false],
    [
      'a release in an unknown state',
      { elastic: { releases: [{ address: '10.0.4.7', vnicId: 'v', state: 'X' }] } },
      false,
    ],
    ['a condition of unknown status', { conditions: [{ ...elasticStatus.conditions[0], status: 'Maybe' }] }, false],
  ]
  test.each(statuses)('a status with %s', (_name, status, isValid) => {
    const schema = validate(plain({ spec: classicSpec, status }))
    expect({ schema, parser: parseNpnStatus(plain(status)).ok }).toEqual(both(isValid))
  })
})

function both(isValid: boolean): object {
  return { schema: isValid, parser: isValid }
}

/** As it comes over the wire: undefined is absent. */
function plain(value: object): unknown {
  return JSON.parse(JSON.stringify(value))
}

function ids(count: number): readonly string[] {
  return Array.from({ length: count }, (_, index) => `ocid1.subnet.oc1.iad.s${index}`)
}

function karpenterWith(details: object): object {
  return { ...karpenterSpec, secondaryVnics: [{ createVnicDetails: details }] }
}

function vnic(change: object): object {
  return { vnics: [{ ...classicStatus.vnics[0], ...change }] }
}
