import { describe, expect, test } from 'vitest'
import { cidrContains } from '../base/cidr.ts'
import { err, ok, unwrap } from '../base/result.ts'
import { FakeScheduler } from '../kube/fake-scheduler.fixture.ts'
import type { PrivateIp } from '../oci/core-services.ts'
import type { OciError } from '../oci/oci-error.ts'
import { cidr, ip, privateIp, subnet } from './observation.fixture.ts'
import { SubnetSpaces } from './subnet-space.ts'

const never = new AbortController().signal
const freshMs = 600_000
const refusalMs = 1000
// Five usable addresses: .2 to .6.
const small = subnet('pods', { ipv4Cidrs: [cidr('10.0.4.0/29')] })

function spacesWith(...taken: string[]) {
  const clock = new FakeScheduler()
  const cloud = {
    lists: 0,
    taken: taken.map((text) => privateIp(text)) as readonly PrivateIp[],
    error: undefined as OciError | undefined,
    async listPrivateIps() {
      cloud.lists++
      await Promise.resolve()
      return cloud.error === undefined ? ok(cloud.taken) : err(cloud.error)
    },
  }
  const spaces = new SubnetSpaces(cloud, clock, refusalMs)
  const reserve = (count: number) =>
    spaces.reserve(small.id, { cidrs: small.ipv4Cidrs, own: [], siblings: [], count }, never)
  return { clock, cloud, spaces, reserve }
}

const reserved = async (answer: ReturnType<SubnetSpaces['reserve']>): Promise<readonly string[]> => unwrap(await answer)

describe('addresses are reserved', () => {
  test('that nobody has', async () => {
    const { reserve } = spacesWith('10.0.4.2', '10.0.4.4/31')
    expect(await reserved(reserve(8))).toEqual(['10.0.4.3', '10.0.4.6'])
  })

  test('for one caller each, and listed once for all', async () => {
    const { cloud, reserve } = spacesWith()
    const [one, two] = await Promise.all([reserved(reserve(2)), reserved(reserve(3))])
    expect([...one, ...two].toSorted()).toEqual(['10.0.4.2', '10.0.4.3', '10.0.4.4', '10.0.4.5', '10.0.4.6'])
    expect(cloud.lists).toBe(1)
  })

  test('again when they were given back', async () => {
    const { cloud, spaces, reserve } = spacesWith()
    await reserve(5)
    await spaces.release(small.id, [ip('10.0.4.5')])
    expect(await reserved(reserve(5))).toEqual(['10.0.4.5'])
    expect(cloud.lists).toBe(1)
  })

  test('not where the cloud has placed a block meanwhile', async () => {
    const { spaces, reserve } = spacesWith()
    await reserve(1)
    await spaces.note(privateIp('10.0.4.4/31'))
    expect(await reserved(reserve(5))).toEqual(['10.0.4.3', '10.0.4.6'])
  })
})

describe('the subnet is listed again', () => {
  test('when it seems full: others may have given something back', async () => {
    const { clock, cloud, reserve } = spacesWith()
    await reserve(5)
    await clock.advance(1)
    cloud.taken = [privateIp('10.0.4.2')]
    expect(await reserved(reserve(1))).toEqual(['10.0.4.3'])
    expect(cloud.lists).toBe(2)
  })

  test('when the list is old, and not before', async () => {
    const { clock, cloud, reserve } = spacesWith()
    await reserve(1)
    await clock.advance(freshMs)
    await reserve(1)
    expect(cloud.lists).toBe(1)
    await clock.advance(1)
    await Promise.all([reserve(1), reserve(1)])
    expect(cloud.lists).toBe(2)
  })

  test('after a failure, which is told and not kept', async () => {
    const { cloud, reserve } = spacesWith()
    const error: OciError = { kind: 'throttled', operation: 'ListPrivateIps', code: 'TooMany', message: 'wait' }
    cloud.error = error
    expect(await reserve(1)).toEqual(err(error))
    cloud.error = undefined
    expect(await reserved(reserve(1))).toEqual(['10.0.4.2'])
  })
})

describe('an address that the cloud refuses without listing it', () => {
  test('is not asked for, even after a new list', async () => {
    const { clock, spaces, reserve } = spacesWith('10.0.4.3', '10.0.4.4', '10.0.4.5', '10.0.4.6')
    expect(await reserved(reserve(1))).toEqual(['10.0.4.2'])
    spaces.refuse(ip('10.0.4.2'))
    await clock.advance(refusalMs - 1)
    expect(await reserved(reserve(1))).toEqual([])
  })

  test('is asked for again when its time is over', async () => {
    const { clock, spaces, reserve } = spacesWith('10.0.4.3', '10.0.4.4', '10.0.4.5', '10.0.4.6')
    await reserve(1)
    spaces.refuse(ip('10.0.4.2'))
    await clock.advance(refusalMs)
    expect(await reserved(reserve(1))).toEqual(['10.0.4.2'])
  })
})

test('what was never listed needs no word', async () => {
  const { cloud, spaces, reserve } = spacesWith()
  await spaces.release(small.id, [ip('10.0.4.2')])
  await spaces.note(privateIp('10.0.4.2'))
  expect(cloud.lists).toBe(0)
  const [first] = unwrap(await reserve(1))
  expect(first !== undefined && cidrContains(cidr('10.0.4.0/29'), first)).toBe(true)
})
