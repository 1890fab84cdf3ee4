import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { formatAttachmentKey } from '../base/attachment.ts'
import { attachmentKey } from '../datapath/plan.fixture.ts'
import { hostIfname } from '../datapath/host-ifname.ts'
import { linkAlias } from '../datapath/pod-plan.ts'
import { mainTable } from '../linux/netlink/route.ts'
import type { AddressRow } from '../ipam/journal-row.ts'
import { bootId, coolingRow, heldRow, nowMs, podLink, podRoute } from './adoption.fixture.ts'
import { type AdoptionInput, type AdoptionStep, planAdoption } from './adoption.ts'

// A small world in which everything meets everything: three pods, four addresses, four interfaces.
const names = ['a', 'b', 'c'] as const
const addresses = ['10.0.4.9', '10.0.4.10', '10.0.4.11', '10.0.4.12'] as const
const indexes = [70_001, 70_002, 70_003, 70_004] as const
const name = fc.constantFrom(...names)
const address = fc.constantFrom(...addresses)
const ifindex = fc.constantFrom(...indexes)

const held = fc
  .record({
    name,
    address,
    state: fc.constantFrom('adding', 'attached', 'deleting'),
    ifindex,
    isKnown: fc.boolean(),
    ifname: name,
    bootId: fc.constantFrom(bootId, 'an-earlier-boot'),
  })
  .map(({ name, address, state, ifindex, isKnown, ifname, bootId }) =>
    heldRow(name, address, {
      state,
      bootId,
      // Known from `attached` on.
      ifindex: state === 'attached' || (state === 'deleting' && isKnown) ? ifindex : null,
      hostIfname: hostIfname(attachmentKey(ifname), undefined),
    }),
  )
const cooling = fc.record({ name, address, until: fc.constantFrom(nowMs - 1, nowMs, nowMs + 1) })

/** As the journal keeps them: one row an address, one held row a key and a host interface name. */
const rows: fc.Arbitrary<readonly AddressRow[]> = fc
  .array(
    fc.oneof(
      held,
      cooling.map(({ name, address, until }) => coolingRow(name, address, until)),
    ),
    { maxLength: 4 },
  )
  .map((list) =>
    list.filter((row, index) =>
      list.slice(0, index).every((other) => {
        if (other.address === row.address) return false
        if (other.state === 'cooling' || row.state === 'cooling') return true
        return formatAttachmentKey(other.key) !== formatAttachmentKey(row.key) && other.hostIfname !== row.hostIfname
      }),
    ),
  )

const alias = fc.oneof(
  name.map((owner) => linkAlias(attachmentKey(owner))),
  fc.constantFrom(undefined, 'not ours'),
)
const links = fc.uniqueArray(
  fc.record({ ifindex, name, alias }).map(({ ifindex, name, alias }) => {
    const { alias: _, ...link } = podLink(attachmentKey(name), ifindex)
    return alias === undefined ? link : { ...link, alias }
  }),
  { selector: (link) => link.name, maxLength: 3 },
)
const oneOfAnIndex = links.map((list) =>
  list.filter((link, i) => list.findIndex((l) => l.ifindex === link.ifindex) === i),
)

const routes = fc.array(
  fc
    .record({ address, ifindex, inMain: fc.boolean(), protocol: fc.constantFrom(118, 4), metric: fc.nat(3) })
    .map(({ address, ifindex, inMain, protocol, metric }) =>
      podRoute(address, ifindex, { protocol, metric, ...(inMain && { table: mainTable }) }),
    ),
  { maxLength: 6 },
)

const inputs: fc.Arbitrary<AdoptionInput> = fc.record({
  rows,
  state: fc.record({ links: oneOfAnIndex, routes }),
  bootId: fc.constant(bootId),
  nowMs: fc.constant(nowMs),
  netnsExists: fc.array(name).map((alive) => (path: string) => alive.some((each) => path.endsWith(each))),
})

const linkOf = (step: AdoptionStep): readonly number[] =>
  'link' in step && step.link !== undefined ? [step.link.ifindex] : []
const unique = (list: readonly unknown[]): boolean => new Set(list).size === list.length

describe('planAdoption, of any journal and kernel', () => {
  test('has one step for each held row, and never two for one interface', () => {
    fc.assert(
      fc.property(inputs, (input) => {
        const steps = planAdoption(input)
        const withRow = steps.flatMap((step) => ('row' in step ? [step.row] : []))
        expect(withRow).toEqual(input.rows.filter(({ state }) => state !== 'cooling'))
        expect(unique(steps.flatMap(linkOf))).toBe(true)
      }),
      { numRuns: 2000 },
    )
  })

  test('never frees the address of an interface that lives on', () => {
    fc.assert(
      fc.property(inputs, (input) => {
        const steps = planAdoption(input)
        const taken = new Set(steps.flatMap((step) => addressesTaken(step)))
        const removed = new Set(steps.filter(({ kind }) => kind === 'undo').flatMap(linkOf))
        const kept = new Set(steps.filter(({ kind }) => kind === 'keep').flatMap(linkOf))
        for (const { ifindex } of input.state.links) {
          const own = input.state.routes.filter((route) => route.ifindex === ifindex && route.protocol === 118)
          // A kept interface's address is its row's: routes that say otherwise are repaired.
          if (own.length === 0 || removed.has(ifindex) || kept.has(ifindex)) continue
          expect(own.some(({ destination }) => taken.has(destination.address))).toBe(true)
        }
      }),
      { numRuns: 2000 },
    )
  })

  test('adopts only what the journal will take: no address, attachment or name twice', () => {
    fc.assert(
      fc.property(inputs, (input) => {
        const steps = planAdoption(input)
        const adopted = steps.flatMap((step) => (step.kind === 'adopt' ? [step] : []))
        const rowsHeld = input.rows.filter(({ state }) => state !== 'cooling')
        expect(unique([...rowsHeld, ...adopted].map(({ address }) => address))).toBe(true)
        expect(unique([...rowsHeld, ...adopted].map(({ key }) => formatAttachmentKey(key)))).toBe(true)
        expect(unique([...rowsHeld.map(({ hostIfname }) => hostIfname), ...adopted.map(({ link }) => link.name)])).toBe(
          true,
        )
        const cooling = input.rows.filter((row) => row.state === 'cooling' && nowMs < row.coolingUntilMs)
        expect(adopted.filter((step) => cooling.some((row) => row.address === step.address))).toEqual([])
      }),
      { numRuns: 2000 },
    )
  })

  test('touches no interface that has neither our kind of name nor our alias', () => {
    fc.assert(
      fc.property(inputs, (input) => {
        const renamed = input.state.links.map(({ alias: _, ...link }) => ({
          ...link,
          name: `x${link.name}`.slice(0, 15),
        }))
        const steps = planAdoption({ ...input, state: { ...input.state, links: renamed } })
        expect(steps.flatMap(linkOf)).toEqual([])
      }),
    )
  })
})

/** Addresses that nobody else may get once the step is carried out. */
function addressesTaken(step: AdoptionStep): readonly string[] {
  switch (step.kind) {
    case 'keep':
    case 'interface-lost':
      return [step.row.address]
    case 'adopt':
    case 'quarantine':
      return [step.address]
    case 'undo':
    case 'release':
      return []
  }
}
