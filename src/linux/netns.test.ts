import { type ChildProcessWithoutNullStreams, execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, describe, expect, test } from 'vitest'
import { unwrap } from '../base/result.ts'
import { decodeLink, dumpLinks } from './netlink/link.ts'
import { NetlinkSocket } from './netlink/socket.ts'
import {
  createNamedNetns,
  listNamedNetns,
  netnsDirectory,
  netnsIdentity,
  openNetns,
  openOwnNetns,
  removeNamedNetns,
  withNetns,
} from './netns.ts'
import { TestNetns, uniqueName } from './test-netns.fixture.ts'

const directory = mkdtempSync(join(tmpdir(), 'vcnt-'))
afterAll(() => rmSync(directory, { recursive: true }))

interface FreeName extends Disposable {
  readonly name: string
  readonly path: string
}

/** A name that is free, and free again at the end of its `using` scope, whatever the test did with it. */
function freeName(): FreeName {
  const name = uniqueName()
  const path = `${netnsDirectory}/${name}`
  const dispose = (): void => {
    spawnSync('umount', ['--lazy', '--quiet', path])
    rmSync(path, { force: true })
  }
  return { name, path, [Symbol.dispose]: dispose }
}

function ownIdentity(): string {
  using own = openOwnNetns()
  return netnsIdentity(own)
}

function identityOf(path: string): string {
  using netns = unwrap(openNetns(path))
  return netnsIdentity(netns)
}

const openDescriptors = (): number => readdirSync('/proc/self/fd').length

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
    await expect.poll(held).toBe('locked\n')
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

describe('openNetns', () => {
  test('opens by name, by process and by symbolic link', () => {
    using netns = new TestNetns()
    const link = join(directory, 'link')
    symlinkSync(netns.path, link)
    expect(identityOf(netns.path)).toBe(netnsIdentity(netns.fd))
    expect(identityOf(link)).toBe(netnsIdentity(netns.fd))
    expect(identityOf('/proc/self/ns/net')).toBe(ownIdentity())
  })

  const file = join(directory, 'file')
  writeFileSync(file, 'text')
  const fifo = join(directory, 'fifo')
  execFileSync('mkfifo', [fifo])
  const dangling = join(directory, 'dangling')
  symlinkSync('/nonexistent', dangling)

  test.each([
    ['a path that does not exist', '/run/netns/nonexistent', 'missing'],
    ['a path below a file', `${file}/netns`, 'missing'],
    ['a symbolic link to nowhere', dangling, 'missing'],
    ['the namespace of a process that is gone', '/proc/4194305/ns/net', 'missing'],
    ['an empty path', '', 'missing'],
    ['a regular file', file, 'not-a-network-namespace'],
    ['a directory', directory, 'not-a-network-namespace'],
    ['a FIFO, without waiting for its other end', fifo, 'not-a-network-namespace'],
    ['a device', '/dev/null', 'not-a-network-namespace'],
    ['a namespace of another kind', '/proc/self/ns/mnt', 'not-a-network-namespace'],
  ])('%s is told', (_what, path, problem) => {
    const descriptors = openDescriptors()
    expect(openNetns(path)).toEqual({ ok: false, error: problem })
    expect(openDescriptors()).toBe(descriptors)
  })

  test('a name whose mount is gone is told', () => {
    using free = freeName()
    writeFileSync(free.path, '')
    expect(openNetns(free.path)).toEqual({ ok: false, error: 'not-a-network-namespace' })
  })
})

describe('withNetns', () => {
  test('works inside and returns to the own namespace', () => {
    using netns = new TestNetns()
    const before = ownIdentity()
    expect(withNetns(netns.fd, ownIdentity)).toBe(netnsIdentity(netns.fd))
    expect(ownIdentity()).toBe(before)
  })

  test('returns when the work throws, and throws the same', () => {
    using netns = new TestNetns()
    const before = ownIdentity()
    const failing = (): never => {
      throw new Error(`failed in ${ownIdentity()}`)
    }
    expect(() => withNetns(netns.fd, failing)).toThrow(`failed in ${netnsIdentity(netns.fd)}`)
    expect(ownIdentity()).toBe(before)
  })

  test('nests', () => {
    using outer = new TestNetns()
    using inner = new TestNetns()
    const before = ownIdentity()
    const seen = withNetns(outer.fd, () => [ownIdentity(), withNetns(inner.fd, ownIdentity), ownIdentity()])
    expect(seen).toEqual([netnsIdentity(outer.fd), netnsIdentity(inner.fd), netnsIdentity(outer.fd)])
    expect(ownIdentity()).toBe(before)
  })

  test('a socket opened inside stays there when it is used outside', () => {
    using netns = new TestNetns()
    netns.ip('link add inside0 type bridge')
    using socket = withNetns(netns.fd, () => new NetlinkSocket())
    expect(socket.dump(dumpLinks(false), decodeLink).map(({ name }) => name)).toEqual(['lo', 'inside0'])
  })

  test('leaves no descriptor open, whatever happens inside', () => {
    using netns = new TestNetns()
    const descriptors = openDescriptors()
    withNetns(netns.fd, () => undefined)
    expect(() =>
      withNetns(netns.fd, () => {
        throw new Error('the work failed')
      }),
    ).toThrow('the work failed')
    expect(openDescriptors()).toBe(descriptors)
  })

  test('a descriptor that is no namespace throws, in the own namespace', () => {
    using netns = new TestNetns()
    const before = ownIdentity()
    netns.fd[Symbol.dispose]()
    expect(() => withNetns(netns.fd, () => 'never')).toThrow('this descriptor is closed')
    expect(ownIdentity()).toBe(before)
  })

  test('other threads of the process stay where they are', () => {
    using netns = new TestNetns()
    const mainThread = withNetns(netns.fd, () => readFileSync('/proc/thread-self/status', 'utf8'))
    const others = readdirSync('/proc/self/task').filter((task) => !mainThread.includes(`\nPid:\t${task}\n`))
    const identities = withNetns(netns.fd, () => others.map((task) => identityOf(`/proc/self/task/${task}/ns/net`)))
    expect(new Set(identities)).toEqual(new Set([ownIdentity()]))
  })
})

// The compiler checks this function; nothing calls it.
export function promisesAreRefused(netns: TestNetns): void {
  // @ts-expect-error a promise would be continued in the wrong namespace
  void withNetns(netns.fd, async () => {
    await Promise.resolve()
  })
  // @ts-expect-error also when it comes from elsewhere
  void withNetns(netns.fd, () => once(process, 'exit'))
  // @ts-expect-error also when it is only possible
  void withNetns(netns.fd, (): number | Promise<number> => 1)
  const value: number = withNetns(netns.fd, () => 1)
  expect(value).toBe(1)
}
