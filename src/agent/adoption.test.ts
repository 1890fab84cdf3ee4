import { describe, expect, it, test } from 'vitest'
import { formatAttachmentKey } from '../base/attachment.ts'
import { attachmentKey } from '../datapath/plan.fixture.ts'
import { mainTable } from '../linux/netlink/route.ts'
import { bootId, coolingRow, heldRow, nowMs, podLink, podRoute } from './adoption.fixture.ts'
import { type AdoptionInput, type AdoptionStep, findHostLink, planAdoption } from './adoption.ts'

const [a, b] = [attachmentKey('a'), attachmentKey('b')]
const linkA = podLink(a, 70_001)
const routeA = podRoute('10.0.4.9', 70_001)
const { alias: _, ...linkWithoutAlias } = linkA

function describeStep(step: AdoptionStep): string {
  switch (step.kind) {
    case 'keep':
      return `keep ${step.row.address} on ${step.link.ifindex}`
    case 'undo':
      return `undo ${step.row.address} on ${step.link?.ifindex ?? 'nothing'}`
    case 'release':
    case 'interface-lost':
      return `${step.kind} ${step.row.address}`
    case 'adopt':
      return `adopt ${step.address} on ${step.link.ifindex} as ${formatAttachmentKey(step.key)}`
    case 'quarantine':
      return `quarantine ${step.address} on ${step.link.ifindex}`
  }
}

type Found = Partial<Omit<AdoptionInput, 'state'>> & Partial<AdoptionInput['state']>

function plan({ links = [], routes = [], ...found }: Found): readonly string[] {
  const input = { rows: [], bootId, nowMs, netnsExists: () => true, ...found, state: { links, routes } }
  return planAdoption(input).map(describeStep)
}

type Row = readonly [what: string, found: Found, steps: readonly string[]]

const ofRows: readonly Row[] = [
  ['nothing at all', {}, []],
  [
    'a running pod is kept',
    { rows: [heldRow('a', '10.0.4.9')], links: [linkA], routes: [routeA] },
    ['keep 10.0.4.9 on 70001'],
  ],
  [
    'a running pod whose routes are gone is kept',
    { rows: [heldRow('a', '10.0.4.9')], links: [linkA] },
    ['keep 10.0.4.9 on 70001'],
  ],
  [
    'a running pod is kept though its namespace’s name is gone',
    { rows: [heldRow('a', '10.0.4.9')], links: [linkA], netnsExists: () => false },
    ['keep 10.0.4.9 on 70001'],
  ],
  [
    'an ADD that made no interface is undone',
    { rows: [heldRow('a', '10.0.4.9', { state: 'adding', ifindex: null })] },
    ['undo 10.0.4.9 on nothing'],
  ],
  [
    'an ADD that made its interface and was never answered is undone',
    { rows: [heldRow('a', '10.0.4.9', { state: 'adding', ifindex: null })], links: [linkA], routes: [routeA] },
    ['undo 10.0.4.9 on 70001'],
  ],
  [
    'an ADD that ended before its interface had an alias is undone',
    { rows: [heldRow('a', '10.0.4.9', { state: 'adding', ifindex: null })], links: [linkWithoutAlias] },
    ['undo 10.0.4.9 on 70001'],
  ],
  [
    'the DEL of such an ADD is gone on with',
    { rows: [heldRow('a', '10.0.4.9', { state: 'deleting', ifindex: null })], links: [linkWithoutAlias] },
    ['undo 10.0.4.9 on 70001'],
  ],
  [
    'a DEL that never ended is gone on with',
    { rows: [heldRow('a', '10.0.4.9', { state: 'deleting' })], links: [linkA], routes: [routeA] },
    ['undo 10.0.4.9 on 70001'],
  ],
  [
    'a DEL that only lacked its last record is gone on with',
    { rows: [heldRow('a', '10.0.4.9', { state: 'deleting' })] },
    ['undo 10.0.4.9 on nothing'],
  ],
  [
    'a pod of before the boot is released',
    { rows: [heldRow('a', '10.0.4.9', { bootId: 'an-earlier-boot' })] },
    ['release 10.0.4.9'],
  ],
  [
    'a pod whose namespace and interface are gone is released',
    { rows: [heldRow('a', '10.0.4.9')], netnsExists: () => false },
    ['release 10.0.4.9'],
  ],
  [
    'a pod whose interface alone is gone keeps its address',
    { rows: [heldRow('a', '10.0.4.9')], netnsExists: (path) => path === '/run/netns/a' },
    ['interface-lost 10.0.4.9'],
  ],
  ['a released address needs nothing', { rows: [coolingRow('a', '10.0.4.9', nowMs + 1)] }, []],
]

const ofLinks: readonly Row[] = [
  [
    'a pod’s interface that the journal does not know is adopted',
    { links: [linkA], routes: [routeA] },
    ['adopt 10.0.4.9 on 70001 as vcn-cni/a/eth0'],
  ],
  [
    'it is adopted by its route in the main table, too',
    { links: [linkA], routes: [podRoute('10.0.4.9', 70_001, { table: mainTable })] },
    ['adopt 10.0.4.9 on 70001 as vcn-cni/a/eth0'],
  ],
  [
    'it is adopted where its address has cooled down',
    { rows: [coolingRow('b', '10.0.4.9', nowMs)], links: [linkA], routes: [routeA] },
    ['adopt 10.0.4.9 on 70001 as vcn-cni/a/eth0'],
  ],
  [
    'it is quarantined while its address cools down',
    { rows: [coolingRow('a', '10.0.4.9', nowMs + 1)], links: [linkA], routes: [routeA] },
    ['quarantine 10.0.4.9 on 70001'],
  ],
  [
    'it is quarantined where another attachment holds its address',
    { rows: [heldRow('b', '10.0.4.9')], links: [linkA], routes: [routeA] },
    ['interface-lost 10.0.4.9', 'quarantine 10.0.4.9 on 70001'],
  ],
  [
    'it is quarantined where its attachment holds another address',
    { rows: [heldRow('a', '10.0.4.10', { ifindex: 70_005 })], links: [linkA], routes: [routeA] },
    ['interface-lost 10.0.4.10', 'quarantine 10.0.4.9 on 70001'],
  ],
  [
    'it is quarantined where its attachment was made with another index, and that one is not there',
    {
      rows: [heldRow('a', '10.0.4.9', { ifindex: 70_005 })],
      links: [linkA],
      routes: [routeA],
      netnsExists: () => false,
    },
    ['release 10.0.4.9', 'quarantine 10.0.4.9 on 70001'],
  ],
  [
    'it is quarantined where another attachment has its name',
    { rows: [heldRow('b', '10.0.4.10', { hostIfname: linkA.name })], links: [linkA], routes: [routeA] },
    ['interface-lost 10.0.4.10', 'quarantine 10.0.4.9 on 70001'],
  ],
  [
    'of two with one attachment’s alias the second is quarantined',
    {
      links: [linkA, podLink(b, 70_002, { alias: linkA.alias ?? '' })],
      routes: [routeA, podRoute('10.0.4.10', 70_002)],
    },
    ['adopt 10.0.4.9 on 70001 as vcn-cni/a/eth0', 'quarantine 10.0.4.10 on 70002'],
  ],
  [
    'of two with one address the second is quarantined',
    { links: [linkA, podLink(b, 70_002)], routes: [routeA, podRoute('10.0.4.9', 70_002, { metric: 5 })] },
    ['adopt 10.0.4.9 on 70001 as vcn-cni/a/eth0', 'quarantine 10.0.4.9 on 70002'],
  ],
  [
    'one without an alias of ours is quarantined',
    { links: [linkWithoutAlias, podLink(b, 70_002, { alias: 'b' })], routes: [routeA, podRoute('10.0.4.10', 70_002)] },
    ['quarantine 10.0.4.9 on 70001', 'quarantine 10.0.4.10 on 70002'],
  ],
  ['one without an address is left alone', { links: [linkA] }, []],
  [
    'one whose route another program made is left alone',
    { links: [linkA], routes: [podRoute('10.0.4.9', 70_001, { protocol: 4 })] },
    [],
  ],
  [
    'an interface with another kind of name is left alone',
    { links: [podLink(a, 70_001, { name: 'cali1234' })], routes: [routeA] },
    [],
  ],
]

describe('planAdoption', () => {
  test.each(ofRows)('%s', (_what, found, steps) => {
    expect(plan(found)).toEqual(steps)
  })

  test.each(ofLinks)('%s', (_what, found, steps) => {
    expect(plan(found)).toEqual(steps)
  })
})

describe('findHostLink', () => {
  it('takes no interface by its name alone', () => {
    const row = heldRow('a', '10.0.4.9')
    expect(findHostLink(row, [podLink(a, 70_001, { alias: 'vcn-cni vcn-cni/other/eth0' })])).toBeUndefined()
    expect(findHostLink(row, [{ ...linkWithoutAlias, ifindex: 70_009 }])).toBeUndefined()
    expect(findHostLink({ ...row, ifindex: null }, [linkWithoutAlias])).toBe(linkWithoutAlias)
  })

  it('knows its own by index when somebody gave it another name, or another alias', () => {
    const row = heldRow('a', '10.0.4.9')
    const link = podLink(a, 70_001)
    const renamed = { ...link, name: 'veth0' }
    const watched = { ...link, alias: 'monitored' }
    expect(findHostLink(row, [renamed])).toBe(renamed)
    expect(findHostLink(row, [watched])).toBe(watched)
    expect(findHostLink(row, [linkWithoutAlias])).toBe(linkWithoutAlias)
    expect(findHostLink(row, [{ ...watched, name: 'veth0' }])).toBeUndefined()
  })

  it('takes none that has our name but another MAC for an interrupted ADD', () => {
    const { mac: __, ...foreign } = linkWithoutAlias
    expect(findHostLink({ ...heldRow('a', '10.0.4.9'), ifindex: null }, [foreign])).toBeUndefined()
  })
})
