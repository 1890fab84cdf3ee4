import { expect, test } from 'vitest'
import { err, ok } from '../base/result.ts'
import type { OciError } from '../oci/oci-error.ts'
import { subnet, subnetId } from './observation.fixture.ts'
import { SubnetGates } from './subnet-gates.ts'

const never = new AbortController().signal
const closed: OciError = {
  kind: 'incorrectState',
  operation: 'CreatePrivateIp',
  code: 'IncorrectState',
  message: 'updating',
}
const full: OciError = { ...closed, kind: 'limitExceeded', code: 'LimitExceeded' }

// A subnet that is UPDATING for a number of looks whenever its first block is taken, or somebody else says so.
class Subnet {
  looks = 0
  calls = 0
  refused = 0
  inFlight = 0
  mostInFlight = 0
  isFull = false
  updatingLooks = 0
  hasBlock = false

  getSubnet() {
    this.looks++
    if (this.updatingLooks > 0) this.updatingLooks--
    return Promise.resolve(ok(subnet('pods', { lifecycleState: this.updatingLooks > 0 ? 'UPDATING' : 'AVAILABLE' })))
  }

  async create(takes: 'block' | 'address') {
    this.calls++
    this.mostInFlight = Math.max(this.mostInFlight, ++this.inFlight)
    await Promise.resolve()
    this.inFlight--
    if (this.updatingLooks > 0) {
      this.refused++
      return err(closed)
    }
    if (this.isFull) return err(full)
    if (takes === 'block' && !this.hasBlock) this.updatingLooks = 3
    this.hasBlock ||= takes === 'block'
    return ok(takes)
  }
}

function gated() {
  const cloud = new Subnet()
  const gates = new SubnetGates(cloud, (_, signal) => Promise.resolve().then(() => signal.throwIfAborted()))
  const take = (takes: 'block' | 'address', signal = never) =>
    gates.through(subnetId(), takes, () => cloud.create(takes), signal)
  const many = (count: number, takes: 'block' | 'address') =>
    Promise.all(Array.from({ length: count }, () => take(takes)))
  return { cloud, take, many }
}

test('addresses go through side by side, and nobody looks at the subnet', async () => {
  const { cloud, many } = gated()
  expect((await many(5, 'address')).every(({ ok: isOk }) => isOk)).toBe(true)
  expect(cloud).toMatchObject({ calls: 5, looks: 0, mostInFlight: 5 })
})

test('the first block goes alone; the others wait until the subnet is updated, and go together', async () => {
  const { cloud, many } = gated()
  expect((await many(5, 'block')).every(({ ok: isOk }) => isOk)).toBe(true)
  expect(cloud).toMatchObject({ calls: 5, refused: 0, looks: 3, mostInFlight: 4 })
})

test('addresses wait for the first block, too', async () => {
  const { cloud, take, many } = gated()
  await Promise.all([take('block'), many(3, 'address')])
  expect(cloud).toMatchObject({ calls: 4, refused: 0, looks: 3 })
})

test('a subnet that somebody else updates is looked at by one, for all', async () => {
  const { cloud, many } = gated()
  cloud.updatingLooks = 4
  expect((await many(5, 'address')).every(({ ok: isOk }) => isOk)).toBe(true)
  expect(cloud).toMatchObject({ calls: 10, refused: 5, looks: 4 })
})

test('nodes that want their first blocks meanwhile do not try one by one', async () => {
  const { cloud, many } = gated()
  cloud.updatingLooks = 4
  expect((await many(8, 'block')).map(({ ok: isOk }) => isOk)).toEqual(Array(8).fill(true))
  expect(cloud).toMatchObject({ refused: 1 })
})

test('a subnet without blocks is told to each of them', async () => {
  const { cloud, many } = gated()
  cloud.isFull = true
  expect(await many(3, 'block')).toEqual([err(full), err(full), err(full)])
  expect(cloud).toMatchObject({ calls: 3, looks: 0 })
})

test('a subnet that never becomes available is given up', async () => {
  const { cloud, take } = gated()
  cloud.updatingLooks = Infinity
  expect(await take('address')).toEqual(err(closed))
  expect(cloud.calls).toBe(5)
})

test('an end of the controller is not held up by a closed subnet', async () => {
  const { cloud, take } = gated()
  cloud.updatingLooks = Infinity
  const abort = new AbortController()
  const waiting = [take('block', abort.signal), take('address', abort.signal)]
  abort.abort(new Error('over'))
  expect((await Promise.allSettled(waiting)).map(({ status }) => status)).toEqual(['rejected', 'rejected'])
})
