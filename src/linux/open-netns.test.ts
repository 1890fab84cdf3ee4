import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { netnsIdentity, openNetns } from './netns.ts'
import { freeName, identityOf, openDescriptors, ownIdentity, TestNetns } from './test-netns.fixture.ts'

const directory = mkdtempSync(join(tmpdir(), 'vcnt-'))
afterAll(() => rmSync(directory, { recursive: true }))

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
