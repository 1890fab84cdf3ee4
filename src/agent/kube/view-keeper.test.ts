import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, test } from 'vitest'
import { silentLogger } from '../../base/logger.ts'
import { unwrap } from '../../base/result.ts'
import { type NativePodNetwork, parseNativePodNetwork } from '../../kube/native-pod-network.ts'
import { classicSpec, classicStatus, elasticStatus } from '../../kube/native-pod-network.fixture.ts'
import { systemScheduler } from '../../kube/scheduler.ts'
import { networkFileName, readNetworkFile } from './network-file.ts'
import { ViewKeeper } from './view-keeper.ts'

let directory: string
let path: string
let stopping: AbortController
/** What was on disk whenever the keeper told of a change. */
let told: string[]
let running: Promise<void>[]

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'vcn-cni-view-'))
  path = join(directory, networkFileName)
  stopping = new AbortController()
  told = []
  running = []
})

afterEach(async () => {
  stopping.abort()
  await Promise.all(running)
  rmSync(directory, { recursive: true })
})

function keeper(): ViewKeeper {
  const made = new ViewKeeper({
    path,
    onChange: () => told.push(readFileSync(path, 'utf8')),
    scheduler: systemScheduler,
    random: Math.random,
    logger: silentLogger,
  })
  running.push(made.worker.run(stopping.signal))
  return made
}

function network(status: unknown): NativePodNetwork {
  return unwrap(parseNativePodNetwork({ metadata: { name: 'aaaa', uid: 'u' }, spec: classicSpec, status }))
}

const taken = (subject: ViewKeeper): Promise<void> => subject.whenTaken(AbortSignal.timeout(10_000))
const addresses = ({ view }: ViewKeeper): readonly string[] => (view?.vnics ?? []).flatMap((vnic) => vnic.addresses)

describe('ViewKeeper', () => {
  it('has a view on disk before it is told, for the next agent', async () => {
    const first = keeper()
    first.see(network(elasticStatus))
    await taken(first)
    expect(told).toHaveLength(1)
    expect(told[0]).toContain('10.0.4.9')
    const second = keeper()
    expect(second.view).toBeUndefined()
    second.useRecorded()
    expect(second.view).toEqual(first.view)
    expect(second.origin).toBe('disk')
    expect([...second.recordedReleases]).toEqual(['10.0.4.9'])
    second.see(network(elasticStatus))
    expect(second.origin).toBe('api')
  })

  it('takes nothing that the disk has not, but withholds what is marked', async () => {
    mkdirSync(join(path, 'in the way'), { recursive: true })
    const subject = keeper()
    subject.see(network(elasticStatus))
    await expect.poll(() => subject.worker.lastError).toContain(path)
    expect(subject.view).toBeUndefined()
    expect([...subject.releasing]).toEqual(['10.0.4.9'])
    expect(subject.recordedReleases.size).toBe(0)
    rmSync(path, { recursive: true })
    await taken(subject)
    expect([...subject.recordedReleases]).toEqual(['10.0.4.9'])
  })

  it('gives an address back only when the end of its marking is on disk', async () => {
    const subject = keeper()
    subject.see(network(elasticStatus))
    await taken(subject)
    subject.see(network(classicStatus))
    expect([...subject.releasing]).toEqual(['10.0.4.9'])
    await taken(subject)
    expect([...subject.releasing]).toEqual([])
  })

  it('withholds at once an address that is gone', async () => {
    const subject = keeper()
    subject.see(network(classicStatus))
    await taken(subject)
    const [vnic] = classicStatus.vnics
    subject.see(network({ ...classicStatus, vnics: [{ ...vnic, addresses: ['10.0.4.7'] }] }))
    expect([...subject.releasing]).toEqual(['10.0.4.9'])
    await taken(subject)
    expect(addresses(subject)).toEqual(['10.0.4.7'])
    expect([...subject.releasing]).toEqual([])
  })

  test.each<[what: string, status: unknown, problem: string]>([
    ['that cannot be read', { ...classicStatus, vnics: 'none' }, 'status.vnics: must be a list of VNICs (got "none")'],
    ['that nobody has written yet', undefined, 'no controller has published VNICs yet'],
    [
      'without VNICs while the controller is at work',
      { state: 'IN_PROGRESS' },
      'no controller has published VNICs yet',
    ],
    ['without VNICs while the controller fails', { state: 'BACKOFF' }, 'no controller has published VNICs yet'],
  ])('keeps the last good view for a status %s', async (_what, status, problem) => {
    const subject = keeper()
    subject.see(network(classicStatus))
    await taken(subject)
    subject.see(network(status))
    expect(subject.problem).toBe(problem)
    expect(addresses(subject)).toEqual(['10.0.4.7', '10.0.4.9'])
    subject.see(network(classicStatus))
    expect(subject.problem).toBeUndefined()
  })

  it('takes the word of a controller that has finished for it that there are no VNICs', async () => {
    const subject = keeper()
    subject.see(network(classicStatus))
    await taken(subject)
    subject.see(network({ state: 'SUCCESS', reason: 'COMPLETED' }))
    await taken(subject)
    expect(addresses(subject)).toEqual([])
  })
})

test.each<[what: string, text: string, problem: string]>([
  ['half a file', '{"version": 1', 'JSON'],
  ['a newer version', '{"version":2,"name":"a","status":{}}', 'version: must be 1 (got 2)'],
  ['no name', '{"version":1,"status":{}}', 'name: is required: must be the name of the NativePodNetwork'],
  ['a bad VNIC', '{"version":1,"name":"a","status":{"vnics":[{"vnicId":""}]}}', 'status.vnics[0].vnicId'],
])('%s on disk is refused, and the agent waits for the API server', (_what, text, problem) => {
  writeFileSync(path, text)
  const read = readNetworkFile(path)
  expect(read.ok ? '' : read.error).toContain(problem)
  expect(read.ok ? '' : read.error).toContain(path)
  const subject = keeper()
  subject.useRecorded()
  expect(subject.view).toBeUndefined()
})
