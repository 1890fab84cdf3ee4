import { expect, test } from 'vitest'
import { FakeScheduler } from '../kube/fake-scheduler.fixture.ts'
import { RefusalMemory } from './known-limits.ts'
import { instanceId, noLimits, subnetId, vnicId } from './observation.fixture.ts'

function memory() {
  const clock = new FakeScheduler()
  return { clock, refusals: new RefusalMemory(clock, 100) }
}

test.each<[what: string, refusal: Parameters<RefusalMemory['remember']>[0], known: object]>([
  ['a subnet without blocks', { kind: 'noBlocks', id: subnetId() }, { subnetsWithoutBlocks: new Set([subnetId()]) }],
  [
    'a subnet without addresses',
    { kind: 'noAddresses', id: subnetId() },
    { subnetsWithoutAddresses: new Set([subnetId()]) },
  ],
  ['a full VNIC', { kind: 'vnicFull', id: vnicId() }, { fullVnics: new Set([vnicId()]) }],
  ['a full instance', { kind: 'instanceFull', id: instanceId() }, { instanceFull: true }],
])('%s is remembered for its time, and not longer', async (_what, refusal, known) => {
  const { clock, refusals } = memory()
  refusals.remember(refusal)
  await clock.advance(99)
  expect(refusals.limitsFor(instanceId())).toEqual({ ...noLimits, ...known })
  await clock.advance(1)
  expect(refusals.limitsFor(instanceId())).toEqual(noLimits)
})

test('a refusal that is repeated lasts from then on', async () => {
  const { clock, refusals } = memory()
  refusals.remember({ kind: 'noBlocks', id: subnetId() })
  await clock.advance(60)
  refusals.remember({ kind: 'noBlocks', id: subnetId() })
  await clock.advance(60)
  expect(refusals.limitsFor(instanceId()).subnetsWithoutBlocks).toEqual(new Set([subnetId()]))
})

test('a full instance is no matter of another one; a full subnet is', () => {
  const { refusals } = memory()
  refusals.remember({ kind: 'instanceFull', id: instanceId('a') })
  refusals.remember({ kind: 'noAddresses', id: subnetId() })
  expect(refusals.limitsFor(instanceId('b'))).toEqual({ ...noLimits, subnetsWithoutAddresses: new Set([subnetId()]) })
})

test('what is given back to a subnet ends its refusals, and only those', () => {
  const { refusals } = memory()
  for (const id of [subnetId('a'), subnetId('b')]) {
    refusals.remember({ kind: 'noBlocks', id })
    refusals.remember({ kind: 'noAddresses', id })
  }
  refusals.forgetSubnet(subnetId('a'))
  const rest = new Set([subnetId('b')])
  expect(refusals.limitsFor(instanceId())).toEqual({
    ...noLimits,
    subnetsWithoutBlocks: rest,
    subnetsWithoutAddresses: rest,
  })
})
