import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  internetNetns,
  labOfNetns,
  nodeNetns,
  parseLabName,
  parseNodeName,
  parsePodName,
  podNetns,
  portName,
  vcnNetns,
} from './names.ts'

const unit = fc.constantFrom('a', 'c', 'n', 'p', 'v', '0', '1', '-', '-')
const texts = fc.string({ unit, minLength: 1, maxLength: 12 })
const labs = texts.filter((text) => parseLabName(text).ok)
const nodes = texts.filter((text) => parseNodeName(text).ok)
const pods = texts.filter((text) => parsePodName(text).ok)

describe('namespaces', () => {
  it('are named for one lab and one purpose: no two names meet', () => {
    const anyNetns = fc.oneof(
      fc.tuple(labs, fc.constant('vcn')).map(([lab, what]) => ({ lab, what, netns: vcnNetns(lab) })),
      fc.tuple(labs, fc.constant('internet')).map(([lab, what]) => ({ lab, what, netns: internetNetns(lab) })),
      fc.tuple(labs, nodes).map(([lab, node]) => ({ lab, what: `node ${node}`, netns: nodeNetns(lab, node) })),
      fc.tuple(labs, pods).map(([lab, pod]) => ({ lab, what: `pod ${pod}`, netns: podNetns(lab, pod) })),
    )
    fc.assert(
      fc.property(anyNetns, anyNetns, (a, b) => {
        expect(a.netns === b.netns).toBe(a.lab === b.lab && a.what === b.what)
        expect(labOfNetns(a.netns)).toBe(a.lab)
      }),
      { numRuns: 2000 },
    )
  })

  it.each(['vl-', 'vl-a', 'vl-a-', 'cni-1234', 'vl-A-vcn', 'xvl-a-vcn'])('%j belongs to no lab', (netns) => {
    expect(labOfNetns(netns)).toBeUndefined()
  })
})

describe('portName', () => {
  it.each([
    ['worker-1', 'ens5', 'worker-1.ens5'],
    ['worker-one', 'ens5', 'worker-one.ens5'],
  ])('of %s and %s is %s', (node, vnic, port) => {
    expect(portName(node, vnic)).toBe(port)
  })

  it('fits an interface name, and tells long node names apart', () => {
    const long = 'a-worker-with-a-long-name-'
    expect(portName(`${long}1`, 'ens5')).toHaveLength(15)
    expect(portName(`${long}1`, 'ens5')).not.toBe(portName(`${long}2`, 'ens5'))
    expect(portName(`${long}1`, 'enp123s456').length).toBeLessThanOrEqual(15)
  })
})

describe('names that are refused', () => {
  it.each(['', 'a-b', 'A', 'a_b', 'a/b', '..', 'x'.repeat(17)])('%j for a lab', (name) => {
    expect(parseLabName(name)).toMatchObject({ ok: false })
  })

  it.each(['', 'vcn', 'internet', 'p-1', '-a', 'a-', 'a.b', '../x'])('%j for a node', (name) => {
    expect(parseNodeName(name)).toMatchObject({ ok: false })
  })

  it.each(['', '.', '..', 'a/b', 'A', '-a', 'a-', 'a..b', 'x'.repeat(201)])('%j for a pod', (name) => {
    expect(parsePodName(name)).toMatchObject({ ok: false })
  })
})
