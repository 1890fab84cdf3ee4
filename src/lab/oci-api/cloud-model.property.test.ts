import fc from 'fast-check'
import { expect, test } from 'vitest'
import { cidrContains, cidrsOverlap, cidrSize } from '../../base/cidr.ts'
import { ipv4FromNumber, ipv4ToNumber } from '../../base/ip.ts'
import type { CloudFabric } from './cloud-fabric.ts'
import type { CloudModel } from './cloud-model.ts'
import { testCloud } from './cloud.fixture.ts'
import { createPrivateIp, deletePrivateIp, updatePrivateIp } from './private-ips.ts'
import { attachVnic, detachVnic } from './vnic-attachments.ts'
import { terminateInstance } from './instances.ts'

type Step =
  | { readonly kind: 'attach' | 'detach' | 'delete' | 'move' | 'terminate'; readonly pick: number }
  | {
      readonly kind: 'create'
      readonly pick: number
      readonly offset: number | undefined
      readonly prefixLength: number | undefined
    }
  | { readonly kind: 'wait'; readonly durationMs: number }

const pick = fc.nat(1000)
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 20, arbitrary: fc.record({ kind: fc.constantFrom('attach', 'detach', 'delete', 'move'), pick }) },
  {
    weight: 80,
    arbitrary: fc.record({
      kind: fc.constant('create'),
      pick,
      offset: fc.option(fc.nat(70), { nil: undefined }),
      prefixLength: fc.option(fc.integer({ min: 28, max: 30 }), { nil: undefined }),
    }),
  },
  { weight: 20, arbitrary: fc.record({ kind: fc.constant('wait'), durationMs: fc.nat(6000) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('terminate'), pick: fc.constant(0) }) },
)

/** What the data plane was told, which has to be the same as what the API says. */
function recordingFabric(): { readonly fabric: CloudFabric; readonly told: Map<string, Set<string>> } {
  const told = new Map<string, Set<string>>()
  const addresses = (id: string): Set<string> => {
    const found = told.get(id)
    if (found === undefined) throw new Error(`no VNIC ${id} is attached`)
    return found
  }
  const fabric: CloudFabric = {
    attachVnic: ({ id }) => Promise.resolve(void told.set(id, new Set())),
    detachVnic: (id) => Promise.resolve(void told.delete(id)),
    registerAddress: (id, { address }) => Promise.resolve(void addresses(id).add(address)),
    unregisterAddress: (id, { address }) => Promise.resolve(void addresses(id).delete(address)),
  }
  return { fabric, told }
}

function of<T>(all: readonly T[], index: number): T | undefined {
  return all[index % Math.max(1, all.length)]
}

function check(model: CloudModel, told: ReadonlyMap<string, ReadonlySet<string>>): void {
  const addresses = model.privateIps.all()
  for (const [index, one] of addresses.entries()) {
    const { cidrs } = model.subnets.require(one.subnetId)
    const inside = cidrs.find((cidr) => cidrContains(cidr, one.cidr.address))
    const first = ipv4ToNumber(one.cidr.address)
    const last = first + cidrSize(one.cidr) - 1
    expect(inside && cidrContains(inside, ipv4FromNumber(last))).toBe(true)
    const start = ipv4ToNumber(inside?.address ?? one.cidr.address)
    expect(first).toBeGreaterThanOrEqual(start + 2)
    expect(last).toBeLessThan(start + cidrSize(inside ?? one.cidr) - 1)
    expect(first % cidrSize(one.cidr)).toBe(0)
    for (const other of addresses.slice(index + 1)) expect(cidrsOverlap(one.cidr, other.cidr)).toBe(false)
  }
  for (const { id, isPrimary, lifecycleState } of model.vnics.all()) {
    const own = addresses.filter((one) => one.vnicId === id && !one.isPrimary)
    expect(own.length).toBeLessThanOrEqual(model.settings.addressesPerVnic)
    if (isPrimary || lifecycleState !== 'AVAILABLE') continue
    expect(told.get(id)).toEqual(new Set(own.map(({ cidr }) => cidr.address)))
  }
  for (const id of told.keys()) expect(model.vnics.get(id)).toBeDefined()
}

async function take(step: Step, { model, scheduler, subnet, instance }: ReturnType<typeof testCloud>): Promise<void> {
  if (step.kind === 'wait') return scheduler.advance(step.durationMs)
  const vnic = of(
    model.vnics.filter(({ isPrimary }) => !isPrimary),
    step.pick,
  )
  const address = of(model.privateIps.all(), step.pick)
  const attachment = of(model.attachments.all(), step.pick)
  const wish = { subnetId: subnet.id, displayName: '', nsgIds: [], skipSourceDestCheck: true, tags: {} }
  switch (step.kind) {
    case 'attach':
      attachVnic(model, { instanceId: instance.id, displayName: '', nicIndex: 0, vnic: wish })
      return
    case 'detach':
      if (attachment?.lifecycleState === 'ATTACHED') detachVnic(model, attachment)
      return
    case 'delete':
      if (address !== undefined) await deletePrivateIp(model, address)
      return
    case 'move':
      if (address !== undefined && vnic !== undefined) await updatePrivateIp(model, address, { vnicId: vnic.id })
      return
    case 'terminate':
      terminateInstance(model, instance.id)
      return
    case 'create': {
      const { offset, prefixLength } = step
      const first = ipv4ToNumber(subnet.cidrs[0]?.address ?? subnet.routerIp)
      await createPrivateIp(model, {
        vnicId: vnic?.id ?? '',
        ...(offset !== undefined && { address: ipv4FromNumber(first + offset) }),
        ...(prefixLength !== undefined && { cidrPrefixLength: prefixLength }),
        displayName: '',
        tags: {},
      })
    }
  }
}

test('whatever is asked for: no address twice, none outside, no VNIC too full, and the data plane agrees', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      const { fabric, told } = recordingFabric()
      const settings = { addressesPerVnic: 3, subnetUpdateDelayMs: 1000, retentionMs: 1000 }
      const cloud = testCloud({ subnetCidr: '10.0.4.0/26', settings, fabric })
      // Without a VNIC nearly every step would only be refused.
      const begun: readonly Step[] = [
        { kind: 'attach', pick: 0 },
        { kind: 'wait', durationMs: 6000 },
      ]
      for (const one of [...begun, ...steps]) {
        await take(one, cloud)
        check(cloud.model, told)
      }
    }),
    { numRuns: 300 },
  )
})
