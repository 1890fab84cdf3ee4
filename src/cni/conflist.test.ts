import * as fc from 'fast-check'
import { describe, expect, it, test } from 'vitest'
import {
  type Conflist,
  mergeConflist,
  ourConflist,
  parseConflist,
  planInstall,
  planRemoval,
  renderConflist,
} from './conflist.ts'
import { unwrap } from '../base/result.ts'

const ours = ourConflist({ portmap: true, mesh: false })
const meshed = ourConflist({ portmap: true, mesh: true })
const [vcn, portmap] = [{ type: 'vcn-cni' }, { type: 'portmap', capabilities: { portMappings: true }, snat: true }]
const mesh = { type: 'vcn-mesh' }
const istio = { type: 'istio-cni', name: 'istio-cni', log_level: 'info', kubernetes: { cni_bin_dir: '/opt/cni/bin' } }
const linkerd = { type: 'linkerd-cni', 'proxy-uid': 2102, policy: { type: 'k8s' } }

function listOf(...plugins: readonly { readonly type: string; readonly [field: string]: unknown }[]): Conflist {
  return { cniVersion: '1.0.0', name: 'vcn-cni', plugins }
}

describe('our conflist', () => {
  it('has portmap behind ours when the node has it', () => {
    expect(ours).toEqual(listOf(vcn, portmap))
  })

  it('has ours alone when the node has no portmap', () => {
    expect(ourConflist({ portmap: false, mesh: false })).toEqual(listOf(vcn))
  })

  it('has the mesh plugin right behind ours where meshes are wanted', () => {
    expect(meshed).toEqual(listOf(vcn, mesh, portmap))
    expect(ourConflist({ portmap: false, mesh: true })).toEqual(listOf(vcn, mesh))
  })

  it('reads as what was written', () => {
    expect(unwrap(parseConflist(renderConflist(ours)))).toEqual(ours)
  })
})

describe('merging', () => {
  it.each([
    ['no file: ours', undefined, ours],
    ['ours: no change', ours, ours],
    ['an entry of others behind ours stays there', listOf(vcn, portmap, istio), listOf(vcn, portmap, istio)],
    ['and so do several, in their order', listOf(vcn, linkerd, portmap, istio), listOf(vcn, linkerd, portmap, istio)],
    ['an entry of others before ours stays there', listOf(istio, vcn, portmap), listOf(istio, vcn, portmap)],
    ['ours, gone, comes first: the others need its interface', listOf(istio), listOf(vcn, portmap, istio)],
    ['portmap, gone, comes right behind ours', listOf(vcn, istio), listOf(vcn, portmap, istio)],
    ['ours, gone, comes before a portmap that is there', listOf(portmap, istio), listOf(vcn, portmap, istio)],
    ['ours twice: once', listOf(vcn, portmap, vcn, istio), listOf(vcn, portmap, istio)],
    ['others twice: not our business', listOf(vcn, portmap, istio, istio), listOf(vcn, portmap, istio, istio)],
    ['our values come back', listOf(vcn, { ...portmap, snat: false }), ours],
    [
      'what others added to our entries stays',
      listOf(
        { ...vcn, owner: 'x' },
        { type: 'portmap', capabilities: { portMappings: false, x: true }, backend: 'nft' },
      ),
      listOf(
        { ...vcn, owner: 'x' },
        { type: 'portmap', capabilities: { portMappings: true, x: true }, backend: 'nft', snat: true },
      ),
    ],
    [
      'fields of the list: ours come back, others stay',
      { cniVersion: '1.1.0', name: 'k8s', disableCheck: true, plugins: [vcn, portmap] },
      { cniVersion: '1.0.0', name: 'vcn-cni', disableCheck: true, plugins: [vcn, portmap] },
    ],
    ['an empty list: ours', listOf(), ours],
  ])('%s', (_name, existing, expected) => {
    expect(mergeConflist(existing, ours)).toEqual(expected)
  })

  it.each([
    ['wanted: it comes right behind ours', meshed, listOf(vcn, portmap, istio), listOf(vcn, mesh, portmap, istio)],
    [
      'wanted, and moved by somebody: it stays there',
      meshed,
      listOf(vcn, portmap, istio, mesh),
      listOf(vcn, portmap, istio, mesh),
    ],
    ['wanted, but last of all: nothing to do', meshed, listOf(vcn, portmap, mesh), listOf(vcn, portmap, mesh)],
    ['wanted no more: it goes, the others stay', ours, listOf(vcn, mesh, portmap, istio), listOf(vcn, portmap, istio)],
    ['wanted no more, nor there: nothing to do', ours, listOf(vcn, portmap, istio), listOf(vcn, portmap, istio)],
  ])('the mesh plugin is %s', (_name, wanted, existing, expected) => {
    expect(mergeConflist(existing, wanted)).toEqual(expected)
  })

  it('leaves portmap alone when the node has none of its own to offer', () => {
    expect(mergeConflist(listOf(vcn, portmap, istio), ourConflist({ portmap: false, mesh: false }))).toEqual(
      listOf(vcn, portmap, istio),
    )
  })

  it('changes nothing the second time, and keeps every entry of others in order', () => {
    const entry = fc.record({
      type: fc.constantFrom('vcn-cni', 'vcn-mesh', 'portmap', 'istio-cni', 'tuning'),
      n: fc.nat(),
    })
    fc.assert(
      fc.property(fc.array(entry), fc.constantFrom(ours, meshed), (plugins, wanted) => {
        const merged = mergeConflist(listOf(...plugins), wanted)
        const foreign = ({ type }: { readonly type: string }) => !['vcn-cni', 'vcn-mesh', 'portmap'].includes(type)
        expect(mergeConflist(merged, wanted)).toEqual(merged)
        expect(merged.plugins.filter(({ type }) => type === 'vcn-mesh')).toHaveLength(wanted === meshed ? 1 : 0)
        expect(merged.plugins.filter(foreign)).toEqual(plugins.filter(foreign))
      }),
    )
  })
})

describe('installing', () => {
  it('writes where there is no file', () => {
    expect(planInstall(undefined, ours)).toEqual({ kind: 'write', text: renderConflist(ours) })
  })

  it.each([
    ['as we wrote it', renderConflist(ours)],
    ['without white space', JSON.stringify(ours)],
    ['with an entry of others', JSON.stringify(listOf(vcn, portmap, istio))],
    ['with keys in another order', sortedJson(listOf(vcn, portmap, { ...linkerd, mtu: 1500 }))],
    ['with numbers as floats', floatJson(JSON.stringify(listOf(vcn, portmap, { ...linkerd, mtu: 1500 })))],
  ])('does not write over a file %s', (_name, text) => {
    expect(planInstall(text, ours)).toEqual({ kind: 'keep' })
  })

  it('compares numbers by value, ours too', () => {
    const withMtu = listOf({ ...vcn, mtu: 1500 }, portmap)
    expect(planInstall(floatJson(JSON.stringify(withMtu)), withMtu)).toEqual({ kind: 'keep' })
    expect(planInstall(JSON.stringify(listOf({ ...vcn, mtu: 1400.0 }, portmap)), withMtu)).toMatchObject({
      kind: 'write',
    })
  })

  it.each([
    ['', 'not valid JSON'],
    ['{"cniVersion":"1.0.0","plug', 'not valid JSON'],
    ['[]', 'expected object'],
    ['{"cniVersion":"1.0.0","type":"vcn-cni"}', 'plugins: is required'],
    ['{"plugins":{}}', 'plugins: '],
    ['{"plugins":[{"type":"a"},{"name":"b"}]}', 'plugins[1].type: is required'],
  ])('replaces a file that no runtime can use: %s', (text, problem) => {
    expect(planInstall(text, ours)).toEqual({
      kind: 'replace',
      text: renderConflist(ours),
      problem: expect.stringContaining(problem) as string,
    })
  })
})

describe('removing', () => {
  it.each([
    ['ours alone: the file goes', listOf(vcn), { kind: 'delete' }],
    ['ours and portmap: the file goes', ours, { kind: 'delete' }],
    ['portmap alone: the file goes', listOf(portmap), { kind: 'delete' }],
    ['an empty list: the file goes', listOf(), { kind: 'delete' }],
    ['ours among others: the others stay', listOf(vcn, portmap, istio), writeOf(listOf(portmap, istio))],
    ['the mesh plugin of ours goes with it', listOf(vcn, linkerd, { type: 'vcn-mesh' }), writeOf(listOf(linkerd))],
    ['others alone: nothing to do', listOf(portmap, istio), { kind: 'keep' }],
  ])('%s', (_name, existing, plan) => {
    expect(planRemoval(JSON.stringify(existing))).toEqual(plan)
  })

  it('has nothing to do where there is no file', () => {
    expect(planRemoval(undefined)).toEqual({ kind: 'keep' })
  })

  it('leaves a file alone that it cannot read', () => {
    expect(planRemoval('{')).toMatchObject({
      kind: 'unreadable',
      problem: expect.stringContaining('not valid JSON') as string,
    })
  })

  it('is undone by installing', () => {
    expect(mergeConflist(listOf(portmap, istio), ours)).toEqual(listOf(vcn, portmap, istio))
  })
})

/** What the installers of meshes do to the file, each in its own way, whenever they look at it and miss their entry. */
const appendIstio = appendWith(istio, (list) => floatJson(sortedJson(list)))
const appendLinkerd = appendWith(linkerd, (list) => JSON.stringify(list, null, 4))
const insertEarly = (text: string) => {
  const list = unwrap(parseConflist(text))
  const present = list.plugins.some(({ type }) => type === 'early')
  return present ? text : JSON.stringify({ ...list, plugins: [{ type: 'early', mtu: 1500 }, ...list.plugins] })
}
const rewriteAlways = (text: string) => floatJson(sortedJson(unwrap(parseConflist(text))))

/** linkerd-cni moves a file aside that it will change, and puts its own in place under the same name. */
const renameLinkerd = (text: string): string => appendLinkerd(JSON.stringify(JSON.parse(text)))

describe.each([
  ['meshes left to others', ours],
  ['our own mesh plugin, too', meshed],
])('with an installer of a mesh at work, %s', (_how, wanted) => {
  it.each([
    ['istio, which appends, sorts keys and writes floats', appendIstio],
    ['linkerd, which appends and indents', appendLinkerd],
    ['linkerd, which moves the file and writes another', renameLinkerd],
    ['one that comes first', insertEarly],
    ['one that rewrites the file every time', rewriteAlways],
  ])('%s: we write once and never again', (_name, install) => {
    expect(writesUntilQuiet(wanted, [install])).toEqual({ writes: 1, isQuiet: true })
  })

  test('all at once, we write once and never again', () => {
    const all = [appendIstio, appendLinkerd, insertEarly, rewriteAlways]
    expect(writesUntilQuiet(wanted, all)).toEqual({ writes: 1, isQuiet: true })
  })

  test('all at once and in the file before us', () => {
    const before = appendIstio(appendLinkerd(renderConflist(listOf(portmap))))
    expect(writesUntilQuiet(wanted, [appendLinkerd, appendIstio], before)).toEqual({ writes: 1, isQuiet: true })
  })

  test('when another makes the file anew, we add ours once more, to which no installer has an objection', () => {
    const added = listOf(...wanted.plugins, istio)
    expect(planInstall(JSON.stringify(listOf(istio)), wanted)).toEqual(writeOf(added))
    expect(appendIstio(renderConflist(added))).toBe(renderConflist(added))
  })
})

test.each([
  ['on', ours, meshed, listOf(vcn, mesh, portmap, istio, linkerd)],
  ['off', meshed, ours, listOf(vcn, portmap, istio, linkerd)],
])('an upgrade that turns meshes %s writes once and keeps the entries of others', (_how, before, after, expected) => {
  const theirs = appendLinkerd(appendIstio(renderConflist(before)))
  const plan = planInstall(theirs, after)
  const text = plan.kind === 'write' ? plan.text : ''
  expect(JSON.parse(text)).toEqual(expected)
  expect(writesUntilQuiet(after, [appendIstio, appendLinkerd], text)).toEqual({ writes: 0, isQuiet: true })
})

/** Our writes in ten rounds in which everybody looks at the file once; and whether the last round changed nothing any more. */
function writesUntilQuiet(
  wanted: Conflist,
  others: readonly ((text: string) => string)[],
  before?: string,
): { readonly writes: number; readonly isQuiet: boolean } {
  let text = before
  let writes = 0
  let isQuiet = false
  for (let round = 0; round < 10; round++) {
    const earlier = text
    const plan = planInstall(text, wanted)
    if (plan.kind !== 'keep') {
      text = plan.text
      writes++
    }
    for (const install of others) text = install(text ?? '')
    isQuiet = text === earlier
  }
  return { writes, isQuiet }
}

function appendWith(entry: { readonly type: string }, render: (list: Conflist) => string): (text: string) => string {
  return (text) => {
    const list = unwrap(parseConflist(text))
    if (list.plugins.some(({ type }) => type === entry.type)) return text
    return render({ ...list, plugins: [...list.plugins, entry] })
  }
}

function writeOf(conflist: Conflist): { kind: 'write'; text: string } {
  return { kind: 'write', text: renderConflist(conflist) }
}

function sortedJson(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  )
}

function floatJson(text: string): string {
  return text.replaceAll(/:(\d+)(?=[,}\]])/g, ':$1.0')
}
