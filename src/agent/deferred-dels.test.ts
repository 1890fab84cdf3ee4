import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, test } from 'vitest'
import { type LogFields, type Logger, silentLogger } from '../base/logger.ts'
import { encodeCniRequest, encodeControlRequest } from '../cni/frame.ts'
import { attachmentEnv, invocationOf } from '../cni/request.fixture.ts'
import { deferredDirectoryName, forgetDeferredDel, readDeferredDels } from './deferred-dels.ts'

const del = (container: string): Buffer =>
  encodeCniRequest(invocationOf({ ...attachmentEnv, CNI_COMMAND: 'DEL', CNI_CONTAINERID: container }))

let stateDirectory: string
let unreadable: LogFields[]
const logger: Logger = { ...silentLogger, error: (_event, fields = {}) => void unreadable.push(fields) }

beforeEach(() => {
  stateDirectory = mkdtempSync(join(tmpdir(), 'vcn-cni-deferred-'))
  unreadable = []
})
afterEach(() => {
  rmSync(stateDirectory, { recursive: true, force: true })
})

const pathOf = (name: string): string => join(stateDirectory, deferredDirectoryName, name)

function put(name: string, content: Buffer | string): void {
  mkdirSync(join(stateDirectory, deferredDirectoryName), { recursive: true })
  writeFileSync(pathOf(name), content)
}

async function containers(): Promise<readonly (string | undefined)[]> {
  const deferred = await readDeferredDels(stateDirectory, logger)
  return deferred.map(({ invocation }) => invocation.env.get('CNI_CONTAINERID'))
}

describe('readDeferredDels', () => {
  it('finds nothing where none was ever deferred', async () => {
    expect(await readDeferredDels(stateDirectory, logger)).toEqual([])
    expect(unreadable).toEqual([])
  })

  it('reads what the executable wrote, and when', async () => {
    put('1700000000123456789-42.frame', del('a'))
    const deferred = await readDeferredDels(stateDirectory, logger)
    expect(deferred).toEqual([
      {
        path: pathOf('1700000000123456789-42.frame'),
        deferredMs: 1_700_000_000_123,
        invocation: invocationOf({ ...attachmentEnv, CNI_COMMAND: 'DEL', CNI_CONTAINERID: 'a' }),
      },
    ])
  })

  it('reads the oldest first', async () => {
    put('1700000000000000003-1.frame', del('c'))
    put('1700000000000000001-9.frame', del('a'))
    put('1700000000000000002-5.frame', del('b'))
    expect(await containers()).toEqual(['a', 'b', 'c'])
  })

  it('takes a name without a time for older than every attachment', async () => {
    put('by-hand.frame', del('a'))
    expect((await readDeferredDels(stateDirectory, logger)).map(({ deferredMs }) => deferredMs)).toEqual([0])
  })

  it('passes over what is not finished', async () => {
    put('.1700000000000000001-1.tmp', del('a'))
    put('README', 'x')
    expect(await containers()).toEqual([])
    expect(unreadable).toEqual([])
  })

  test.each<[what: string, content: Buffer | string, problem: RegExp]>([
    ['an empty file', '', /^the connection ended after 0 of 16 bytes$/],
    ['half a frame', del('a').subarray(0, 30), /^the connection ended after 30 of \d+ bytes$/],
    ['text', 'DEL of container a, please', /^the frame starts with "DEL "/],
    ['a question of vcnctl', encodeControlRequest({ method: 'status' }), /^not an execution of the plugin$/],
    [
      'a frame without an execution',
      Buffer.concat([del('a').subarray(0, 16), Buffer.alloc(del('a').length - 16, 255)]),
      /goes past the end/,
    ],
  ])('logs %s, leaves it, and goes on with the others', async (_what, content, problem) => {
    put('1700000000000000001-1.frame', content)
    put('1700000000000000002-1.frame', del('b'))
    expect(await containers()).toEqual(['b'])
    expect(unreadable).toEqual([
      { path: pathOf('1700000000000000001-1.frame'), problem: expect.stringMatching(problem) as string },
    ])
    expect(existsSync(pathOf('1700000000000000001-1.frame'))).toBe(true)
  })

  it('logs a directory of such a name, and goes on with the others', async () => {
    put('1700000000000000002-1.frame', del('b'))
    mkdirSync(pathOf('1700000000000000001-1.frame'))
    expect(await containers()).toEqual(['b'])
    expect(unreadable).toHaveLength(1)
  })
})

describe('forgetDeferredDel', () => {
  it('removes the one file, and does not mind that it is gone', async () => {
    put('1700000000000000001-1.frame', del('a'))
    put('1700000000000000002-1.frame', del('b'))
    const [first] = await readDeferredDels(stateDirectory, logger)
    if (first === undefined) throw new Error('nothing was read')
    await forgetDeferredDel(first)
    await forgetDeferredDel(first)
    expect(await containers()).toEqual(['b'])
  })
})
