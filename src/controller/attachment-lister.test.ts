import { describe, expect, test } from 'vitest'
import { err, ok } from '../base/result.ts'
import type { VnicAttachment, VnicAttachmentQuery } from '../oci/core-services.ts'
import type { OciError } from '../oci/oci-error.ts'
import { AttachmentLister } from './attachment-lister.ts'
import { attachment, compartmentId, instanceId } from './observation.fixture.ts'

const never = new AbortController().signal
const throttled: OciError = { kind: 'throttled', operation: 'ListVnicAttachments', code: 'TooMany', message: 'wait' }
const names = ['a', 'b', 'c', 'd', 'e']

// Two attachments an instance; every question is counted, and may be refused or held up.
class Cloud {
  readonly asked: string[] = []
  error: OciError | undefined
  arrived: (() => void) | undefined
  #held: Promise<void> | undefined

  hold(): () => void {
    const { promise, resolve } = Promise.withResolvers<undefined>()
    this.#held = promise
    return () => {
      this.#held = undefined
      resolve(undefined)
    }
  }

  async listVnicAttachments({ compartmentId: home, instanceId: one }: VnicAttachmentQuery) {
    this.asked.push(one?.split('.').at(-1) ?? `all of ${home.split('.').at(-1)}`)
    this.arrived?.()
    await this.#held
    if (this.error !== undefined) return err(this.error)
    return ok(attachments().filter(({ instanceId: of }) => one === undefined || of === one))
  }
}

const attachments = (): readonly VnicAttachment[] =>
  names.flatMap((name) => [1, 2].map((at) => attachment(`${name}${at}`, { instanceId: instanceId(name) })))

function lister() {
  const cloud = new Cloud()
  const aborts = (_: number, signal: AbortSignal): Promise<void> =>
    Promise.resolve().then(() => signal.throwIfAborted())
  const one = new AttachmentLister(cloud, aborts)
  const list = (name: string, home = 'team', signal = never) => one.list(compartmentId(home), instanceId(name), signal)
  return { cloud, list }
}

const idsOf = (name: string): readonly string[] => [1, 2].map((at) => attachment(`${name}${at}`).id)

describe('questions at the same time', () => {
  test.each<[what: string, names: readonly string[], asked: readonly string[]]>([
    ['one is asked by itself', ['a'], ['a']],
    ['three are, too', ['a', 'b', 'c'], ['a', 'b', 'c']],
    ['four are one question about the compartment', ['a', 'b', 'c', 'd'], ['all of team']],
    ['an instance without attachments gets an empty answer', ['a', 'b', 'c', 'unknown'], ['all of team']],
  ])('%s', async (_what, wanted, asked) => {
    const { cloud, list } = lister()
    const answers = await Promise.all(wanted.map((name) => list(name)))
    expect(answers.map((one) => (one.ok ? one.value.map(({ id }) => id) : one.error))).toEqual(
      wanted.map((name) => (names.includes(name) ? idsOf(name) : [])),
    )
    expect(cloud.asked).toEqual(asked)
  })

  test('about several compartments are several', async () => {
    const { cloud, list } = lister()
    await Promise.all(['x', 'y'].flatMap((home) => names.map((name) => list(name, home))))
    expect(cloud.asked).toEqual(['all of x', 'all of y'])
  })

  test('share a failure, and the next one is asked anew', async () => {
    const { cloud, list } = lister()
    cloud.error = throttled
    expect(await Promise.all(names.map((name) => list(name)))).toEqual(names.map(() => err(throttled)))
    cloud.error = undefined
    expect((await list('a')).ok).toBe(true)
  })
})

test('an answer is never older than its question', async () => {
  const { cloud, list } = lister()
  const release = cloud.hold()
  const arrived = new Promise<void>((resolve) => (cloud.arrived = resolve))
  const first = list('a')
  await arrived
  const second = list('a')
  release()
  await Promise.all([first, second])
  expect(cloud.asked).toEqual(['a', 'a'])
})

test('an end of the controller rejects everybody who waits, and leaves nothing behind', async () => {
  const { list } = lister()
  const abort = new AbortController()
  const asked = names.map((name) => list(name, 'team', abort.signal))
  abort.abort(new Error('over'))
  expect((await Promise.allSettled(asked)).map(({ status }) => status)).toEqual(names.map(() => 'rejected'))
  expect((await list('a')).ok).toBe(true)
})
