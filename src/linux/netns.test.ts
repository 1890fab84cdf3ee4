import { type ChildProcessWithoutNullStreams, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { unwrap } from '../base/result.ts'
import {
  createNamedNetns,
  listNamedNetns,
  netnsDirectory,
  netnsIdentity,
  openNetns,
  removeNamedNetns,
} from './netns.ts'
import { freeName, identityOf, openDescriptors, ownIdentity, uniqueName } from './test-netns.fixture.ts'

describe('a named namespace', () => {
  test('is one of its own, with a loopback that is down, and known to ip', () => {
    using free = freeName()
    expect(createNamedNetns(free.name)).toBe(free.path)
    expect(identityOf(free.path)).not.toBe(ownIdentity())
    expect(listNamedNetns()).toContain(free.name)
    expect(execFileSync('ip', ['-n', free.name, '-br', 'link'], { encoding: 'utf8' })).toMatch(/^lo +DOWN .*\n$/)
    removeNamedNetns(free.name)
  })

  test('making it leaves the caller in its own namespace, and no descriptor open', () => {
    using free = freeName()
    const [before, descriptors] = [ownIdentity(), openDescriptors()]
    createNamedNetns(free.name)
    removeNamedNetns(free.name)
    expect(ownIdentity()).toBe(before)
    expect(openDescriptors()).toBe(descriptors)
  })

  test('made twice throws and leaves the first alone', () => {
    using free = freeName()
    createNamedNetns(free.name)
    const [first, own] = [identityOf(free.path), ownIdentity()]
    expect(() => createNamedNetns(free.name)).toThrow('EEXIST')
    expect(identityOf(free.path)).toBe(first)
    expect(ownIdentity()).toBe(own)
    removeNamedNetns(free.name)
  })

  test('is removed once, and removing it again is fine', () => {
    using free = freeName()
    createNamedNetns(free.name)
    removeNamedNetns(free.name)
    expect(existsSync(free.path)).toBe(false)
    expect(listNamedNetns()).not.toContain(free.name)
    expect(() => removeNamedNetns(free.name)).not.toThrow()
  })

  test('removed, can be made again, as another one', () => {
    using free = freeName()
    createNamedNetns(free.name)
    using first = unwrap(openNetns(free.path))
    removeNamedNetns(free.name)
    createNamedNetns(free.name)
    expect(identityOf(free.path)).not.toBe(netnsIdentity(first))
    removeNamedNetns(free.name)
  })

  test('whose mount is gone is a left-over file: removed like any other', () => {
    using free = freeName()
    writeFileSync(free.path, '')
    removeNamedNetns(free.name)
    expect(existsSync(free.path)).toBe(false)
  })

  test('that ip made can be removed here', () => {
    using free = freeName()
    execFileSync('ip', ['netns', 'add', free.name])
    removeNamedNetns(free.name)
    expect(existsSync(free.path)).toBe(false)
  })

  test('by a name that no file can have throws', () => {
    expect(() => createNamedNetns('missing-directory/name')).toThrow('ENOENT')
  })
})

const moduleUrl = new URL('netns.ts', import.meta.url).href
const makeName = [
  `import { createNamedNetns } from '${moduleUrl}'`,
  `process.stdout.write('ready ')`,
  `createNamedNetns(process.argv[1])`,
  `process.stdout.write('made')`,
].join(';')
const makeNameArguments = ['--input-type=module-typescript', '-e', makeName]

describe('the directory of names', () => {
  // Only where it is not a mount point yet can it be mounted: in a mount namespace of the test's own.
  test('becomes a mount point once, however many processes make the first names at once', async () => {
    const names = Array.from({ length: 6 }, uniqueName)
    const quoted = makeNameArguments.map((argument) => `"${argument}"`).join(' ')
    const script = [
      `umount --lazy ${netnsDirectory} 2>/dev/null`,
      ...names.map((name) => `"${process.execPath}" ${quoted} ${name} >/dev/null &`),
      'wait',
      `grep --count ' ${netnsDirectory} ' /proc/self/mountinfo`,
      ...names.map((name) => `umount ${netnsDirectory}/${name} && rm ${netnsDirectory}/${name} && echo removed`),
    ]
    try {
      const child = spawn('unshare', ['--mount', '--propagation', 'private', 'sh', '-c', script.join('\n')])
      const output = collect(child)
      await once(child, 'close')
      expect(output().split('\n')).toEqual(['1', ...names.map(() => 'removed'), ''])
    } finally {
      for (const name of names) rmSync(`${netnsDirectory}/${name}`, { force: true })
    }
  })

  test('is locked as ip locks it, so that two processes cannot prepare it at once', async () => {
    using free = freeName()
    mkdirSync(netnsDirectory, { recursive: true })
    const holder = spawn('flock', [netnsDirectory, 'sh', '-c', 'echo locked; read line'])
    using _released = { [Symbol.dispose]: () => holder.stdin.end() }
    const held = collect(holder)
    await expect.poll(held, { timeout: 20_000 }).toBe('locked\n')
    const maker = spawn(process.execPath, [...makeNameArguments, free.name])
    const makerEnded = once(maker, 'close')
    const output = collect(maker)
    await expect.poll(output, { timeout: 20_000 }).toMatch(/^ready/)
    // Long enough for a maker that does not wait to be caught; one that waits is never caught.
    await sleep(200)
    expect(output()).toBe('ready ')
    holder.stdin.end()
    await makerEnded
    expect(output()).toBe('ready made')
  })
})

/** Everything the child has written to its standard output so far. */
function collect(child: ChildProcessWithoutNullStreams): () => string {
  let output = ''
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
  return () => output
}
