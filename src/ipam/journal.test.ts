import { describe, expect, it, test } from 'vitest'
import { describeIntendError } from './journal-error.ts'
import { BOOT_ID, byAddress, openJournal, readJournal, TempDirectory, testAddress, testIntent } from './ipam.fixture.ts'
import { modelAfter, type Model, type Step, takeStep } from './journal-steps.fixture.ts'

const [a, b] = [testAddress(0), testAddress(1)]
const web = testIntent('web', a, 1000)
const { key } = web

const intend: Step = { kind: 'intend', intent: web }
const commit: Step = { kind: 'commit', key, ifindex: 7 }
const beginRelease: Step = { kind: 'beginRelease', key }
const release: Step = { kind: 'release', key, nowMs: 2000, cooldownMs: 500 }
const forget: Step = { kind: 'forget', key }
const again: Step = { kind: 'intend', intent: { ...testIntent('next', a, 2500) } }
const forgetAgain: Step = { kind: 'forget', key: again.intent.key }

describe('transitions', () => {
  test.each<[string, readonly Step[]]>([
    ['intend', [intend]],
    ['intend, commit', [intend, commit]],
    ['intend, commit, beginRelease', [intend, commit, beginRelease]],
    ['intend, commit, beginRelease, release', [intend, commit, beginRelease, release]],
    ['intend, beginRelease, release of what never was attached', [intend, beginRelease, release]],
    ['intend, forget', [intend, forget]],
    ['a whole life and the next intend', [intend, commit, beginRelease, release, again]],
    ['a whole life and a forgotten intend', [intend, commit, beginRelease, release, again, forgetAgain]],
  ])('are all there after a restart: %s', (_, steps) => {
    using directory = new TempDirectory()
    const path = directory.join('journal.db')
    let model: Model = new Map()
    for (const step of steps) {
      {
        using journal = openJournal(path)
        takeStep(journal, step)
        model = modelAfter(model, step)
        expect(byAddress(journal.all())).toEqual(byAddress(model.values()))
      }
      expect(readJournal(path)).toEqual(byAddress(model.values()))
    }
  })

  test.each<[string, readonly Step[], Step, RegExp]>([
    ['commit of nothing', [], commit, /^commit: pods\/container-web\/eth0 is not held, not adding$/],
    ['commit twice', [intend, commit], commit, /^commit: .* is attached, not adding$/],
    ['commit while deleting', [intend, beginRelease], commit, /^commit: .* is deleting, not adding$/],
    ['beginRelease of nothing', [], beginRelease, /is not held, not adding or attached or deleting$/],
    ['beginRelease of what is released', [intend, beginRelease, release], beginRelease, /is not held/],
    ['release of what is attached', [intend, commit], release, /is attached, not deleting$/],
    ['forget of what was on the wire', [intend, commit], forget, /is attached, not adding$/],
    [
      'intend of a held address',
      [intend],
      { kind: 'intend', intent: testIntent('other', a, 1000) },
      /10\.0\.8\.1 is held by/,
    ],
    [
      'intend of a cooling address',
      [intend, beginRelease, release],
      { kind: 'intend', intent: { ...web, createdMs: 2499 } },
      /cools down until 2500/,
    ],
  ])('that are bugs throw and change nothing: %s', (_, before, step, message) => {
    using directory = new TempDirectory()
    const path = directory.join('journal.db')
    const model = before.reduce<Model>(modelAfter, new Map())
    {
      using journal = openJournal(path)
      for (const each of before) takeStep(journal, each)
      expect(() => takeStep(journal, step)).toThrow(message)
      expect(byAddress(journal.all())).toEqual(byAddress(model.values()))
    }
    expect(readJournal(path)).toEqual(byAddress(model.values()))
  })

  it('lets beginRelease be repeated, as a DEL is', () => {
    using directory = new TempDirectory()
    using journal = openJournal(directory.join('journal.db'))
    for (const step of [intend, commit, beginRelease]) takeStep(journal, step)
    expect(journal.beginRelease(key)).toMatchObject({ state: 'deleting', ifindex: 7 })
  })
})

describe('intend', () => {
  test.each([
    [
      'the same attachment',
      { ...testIntent('other', b, 1000), key },
      'duplicate-key',
      'attachment exists: pods/container-web/eth0 holds 10.0.8.1 (adding)',
    ],
    [
      'the same host interface',
      { ...testIntent('other', b, 1000), hostIfname: web.hostIfname },
      'host-ifname-taken',
      'host interface name oci-web is taken: pods/container-web/eth0 holds 10.0.8.1 (adding)',
    ],
  ])('refuses %s and names the holder', (_, intent, kind, sentence) => {
    using directory = new TempDirectory()
    using journal = openJournal(directory.join('journal.db'))
    takeStep(journal, intend)
    const refused = journal.intend(intent)
    expect(refused).toMatchObject({ ok: false, error: { kind, holder: { address: a, key } } })
    expect(refused.ok ? '' : describeIntendError(refused.error)).toBe(sentence)
    expect(journal.all()).toHaveLength(1)
  })

  it('takes key and host interface of a released attachment again', () => {
    using directory = new TempDirectory()
    using journal = openJournal(directory.join('journal.db'))
    for (const step of [intend, commit, beginRelease, release]) takeStep(journal, step)
    expect(journal.intend({ ...web, address: b })).toMatchObject({ ok: true, value: { address: b, state: 'adding' } })
  })

  it('keeps a pod without identity as one, and the boot it happened in', () => {
    using directory = new TempDirectory()
    const path = directory.join('journal.db')
    const { pod: _, ...anonymous } = web
    {
      using journal = openJournal(path)
      takeStep(journal, { kind: 'intend', intent: anonymous })
    }
    using journal = openJournal(path, { bootId: 'the next boot' })
    expect(journal.find(key)).toEqual({ ...anonymous, state: 'adding', ifindex: null, previous: null, bootId: BOOT_ID })
    expect(journal.find(key)).not.toHaveProperty('pod')
  })
})

describe('what is remembered of a released address', () => {
  it('is not found by its last key: a late DEL frees nothing', () => {
    using directory = new TempDirectory()
    using journal = openJournal(directory.join('journal.db'))
    for (const step of [intend, commit, beginRelease, release, again]) takeStep(journal, step)
    expect(journal.find(key)).toBeUndefined()
    expect(journal.find(again.intent.key)).toMatchObject({ address: a, previous: { releasedMs: 2000 } })
  })

  it('goes when the address has left the node and has cooled, and only then', () => {
    using directory = new TempDirectory()
    const path = directory.join('journal.db')
    {
      using journal = openJournal(path)
      for (const step of [intend, beginRelease, release]) takeStep(journal, step)
      takeStep(journal, { kind: 'intend', intent: testIntent('held', b, 1000) })
      expect(journal.prune(new Set([a]), 3000)).toBe(0)
      expect(journal.prune(new Set(), 2499)).toBe(0)
      expect(journal.prune(new Set(), 2500)).toBe(1)
      expect(journal.all().map((row) => row.address)).toEqual([b])
    }
    expect(readJournal(path).map((row) => row.address)).toEqual([b])
  })
})

describe('a clock that was set back', () => {
  it('starts the cooldown again, once, and keeps it over a restart', () => {
    using directory = new TempDirectory()
    const path = directory.join('journal.db')
    {
      using journal = openJournal(path)
      for (const step of [intend, beginRelease, release]) takeStep(journal, step)
      expect(journal.view(2100).get(a)).toMatchObject({ coolingUntilMs: 2500 })
      expect(journal.view(100).get(a)).toMatchObject({ releasedMs: 100, coolingUntilMs: 600 })
    }
    using journal = openJournal(path)
    expect(journal.view(400).get(a)).toMatchObject({ releasedMs: 100, coolingUntilMs: 600 })
  })

  it('is told to the log with the addresses', () => {
    const events: unknown[] = []
    const log = (event: string, fields?: unknown): void => void events.push([event, fields])
    using directory = new TempDirectory()
    using journal = openJournal(directory.join('journal.db'), {
      logger: { debug: log, info: log, warn: log, error: log },
    })
    for (const step of [intend, beginRelease, release]) takeStep(journal, step)
    journal.view(100)
    journal.view(100)
    expect(events.slice(1)).toEqual([['journal.clockWentBack', { nowMs: 100, addresses: [a] }]])
  })
})
