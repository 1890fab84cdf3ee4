import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Clock } from '../base/clock.ts'
import { silentLogger } from '../base/logger.ts'
import { unwrap } from '../base/result.ts'
import { attachmentKey, ip4, testLink, testVnic } from '../datapath/plan.fixture.ts'
import { emptyState, type NetnsState } from '../datapath/state.ts'
import { Journal } from '../ipam/journal.ts'
import { heldRow, nowMs, podLink, podRoute } from './adoption.fixture.ts'
import type { NodeView } from './node-view.ts'
import { Tenants } from './tenants.ts'

const vnic = testVnic('pods', '02:00:17:00:00:02', ['10.0.4.9', '10.0.4.10'])
const view: NodeView = {
  located: [{ vnic, link: testLink(11) }],
  missing: [],
  nodeAddress: ip4('10.0.0.2'),
  localAddresses: new Set(),
}
const clock: Clock = { nowMs: () => nowMs, monotonicMs: () => 0 }
const key = attachmentKey('a')
const link = podLink(key, 70_001)

let directory: string
let journal: Journal
let tenants: Tenants
let complaints: string[]

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'vcn-cni-tenants-'))
  journal = unwrap(Journal.open(join(directory, 'journal.db'), { bootId: 'this-boot', clock }))
  complaints = []
  const logger = { ...silentLogger, error: (event: string) => void complaints.push(event) }
  tenants = new Tenants({ journal, bootId: 'this-boot', clock, logger })
})
afterEach(() => {
  journal[Symbol.dispose]()
  rmSync(directory, { recursive: true, force: true })
})

const kernel = (links: NetnsState['links'], routes: NetnsState['routes'] = []): NetnsState => ({
  ...emptyState,
  links,
  routes,
})

function attach(name: string, address: string, ifindex: number): void {
  // A namespace that exists: this process's own.
  const {
    state: _,
    ifindex: __,
    bootId: ___,
    previous: ____,
    ...intent
  } = heldRow(name, address, { netns: '/proc/self/ns/net' })
  unwrap(journal.intend(intent))
  journal.commit(intent.key, { ifindex })
}

describe('Tenants.adopt', () => {
  it('writes a pod that the journal had lost into it, for good', () => {
    const state = kernel([link], [podRoute('10.0.4.9', 70_001)])
    expect(tenants.adopt(state, view)).toEqual([])
    expect(journal.find(key)).toMatchObject({ address: '10.0.4.9', vnicId: 'pods', state: 'attached', ifindex: 70_001 })
    expect(tenants.attachedPods(state, view)).toEqual([
      { key, address: '10.0.4.9', hostIfname: link.name, ifindex: 70_001, mtuBytes: 9000, nodeAddress: '10.0.0.2' },
    ])
    // Once more is no more: it is known now.
    expect(tenants.adopt(state, view)).toEqual([])
    expect(journal.all()).toHaveLength(1)
  })

  it('adopts a pod with an address that is on no VNIC', () => {
    tenants.adopt(kernel([link], [podRoute('10.77.0.1', 70_001)]), view)
    expect(journal.find(key)).toMatchObject({ address: '10.77.0.1', vnicId: 'unknown' })
  })

  it('keeps an address back that a strange interface has, until that is gone', () => {
    const strange = podLink(attachmentKey('b'), 70_002, { alias: 'who knows' })
    const state = kernel([strange], [podRoute('10.0.4.10', 70_002)])
    tenants.adopt(state, view)
    expect([...tenants.quarantined]).toEqual([['10.0.4.10', strange]])
    expect([...tenants.sparedInterfaces()]).toEqual([70_002])
    tenants.attachedPods(state, view)
    expect(tenants.quarantined.size).toBe(1)
    // Another interface with the index is not that interface.
    tenants.attachedPods(kernel([testLink(70_002)]), view)
    expect(tenants.quarantined.size).toBe(0)
    expect(tenants.sparedInterfaces().size).toBe(0)
  })

  it('hands over what an earlier agent began, to be taken away', () => {
    const { state: _, ifindex: __, bootId: ___, previous: ____, ...intent } = heldRow('a', '10.0.4.9')
    unwrap(journal.intend(intent))
    expect(tenants.adopt(kernel([link]), view).map(({ state }) => state)).toEqual(['adding'])
    expect(journal.all()).toHaveLength(1)
  })

  it('complains once of a pod whose interface is lost, and leaves it out of the plan', () => {
    attach('a', '10.0.4.9', 70_001)
    expect(tenants.adopt(kernel([]), view)).toEqual([])
    expect(tenants.attachedPods(kernel([]), view)).toEqual([])
    expect(tenants.attachedPods(kernel([]), view)).toEqual([])
    expect(complaints).toEqual(['pod.interfaceLost'])
    expect(journal.find(key)?.state).toBe('attached')
  })
})

describe('Tenants.abandoned', () => {
  it('names attachments whose namespace and interface are both gone, and no others', () => {
    attach('alive', '10.0.4.9', 70_001)
    attach('b', '10.0.4.10', 70_002)
    const {
      state: _,
      ifindex: __,
      bootId: ___,
      previous: ____,
      ...gone
    } = heldRow('gone', '10.0.4.11', { netns: '/run/netns/no-such' })
    unwrap(journal.intend(gone))
    journal.commit(gone.key, { ifindex: 70_003 })
    const state = kernel([podLink(attachmentKey('b'), 70_002)])
    expect(tenants.abandoned(state).map((row) => row.key.containerId)).toEqual(['gone'])
    expect(tenants.abandoned(kernel([...state.links, podLink(gone.key, 70_003)]))).toEqual([])
  })

  it('names an ADD or DEL that ended in an exception, but not what is released already', () => {
    const {
      state: _,
      ifindex: __,
      bootId: ___,
      previous: ____,
      ...intent
    } = heldRow('a', '10.0.4.9', { netns: '/gone' })
    unwrap(journal.intend(intent))
    expect(tenants.abandoned(kernel([]))).toMatchObject([{ key, state: 'adding' }])
    journal.beginRelease(key)
    expect(tenants.abandoned(kernel([]))).toMatchObject([{ key, state: 'deleting' }])
    journal.release(key, { nowMs, cooldownMs: 30_000 })
    expect(tenants.abandoned(kernel([]))).toEqual([])
  })
})
