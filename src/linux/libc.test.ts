import { spawnSync } from 'node:child_process'
import { describe, expect, test } from 'vitest'
import * as libc from './libc.ts'
import { TestNetns } from './test-netns.fixture.ts'

const noDescriptor = 1_000_000

describe('errno', () => {
  test.each([
    [1, 'EPERM', 'operation not permitted'],
    [2, 'ENOENT', 'no such file or directory'],
    [4, 'EINTR', 'interrupted system call'],
    [11, 'EAGAIN', 'resource temporarily unavailable'],
    [17, 'EEXIST', 'file already exists'],
    [105, 'ENOBUFS', 'no buffer space available'],
    [117, 'EUCLEAN', 'structure needs cleaning'],
    [76, 'E76', 'error 76'],
  ])('%i is %s', (errno, code, text) => {
    expect(libc.describeErrno(errno)).toEqual([code, text])
  })

  test.each([
    ['close', () => libc.close(noDescriptor)],
    ['bind', () => libc.bind(noDescriptor, Buffer.alloc(12))],
    ['send', () => libc.send(noDescriptor, Buffer.alloc(4))],
    ['recv', () => libc.recv(noDescriptor, Buffer.alloc(4))],
    ['setns', () => libc.setns(noDescriptor, 0)],
    ['flock', () => libc.flock(noDescriptor, 2)],
    ['ioctl', () => libc.ioctl(noDescriptor, 0xb703)],
    ['setsockopt', () => libc.setsockopt(noDescriptor, 1, 8, Buffer.alloc(4))],
    ['getsockname', () => libc.getsockname(noDescriptor, 12)],
  ])('a failing %s throws with its name', (syscall, call) => {
    expect(call).toThrow(expect.objectContaining({ name: 'SystemError', syscall, errno: 9, code: 'EBADF' }))
  })

  test('an asynchronous send has the errno of its own thread', async () => {
    const sent = libc.sendBlocking(noDescriptor, Buffer.alloc(4))
    expect(() => libc.umount('/nonexistent', 0)).toThrow('(ENOENT), /nonexistent')
    await expect(sent).rejects.toMatchObject({ name: 'SystemError', syscall: 'send', code: 'EBADF' })
  })

  test('a failing mount names what was mounted where', () => {
    expect(() => libc.mount('/nonexistent/a', '/nonexistent/b', 4096)).toThrow(
      'mount: no such file or directory (ENOENT), /nonexistent/a on /nonexistent/b',
    )
  })
})

test('sendBlocking sends its own bytes while garbage is collected and memory reused', () => {
  using netns = new TestNetns()
  const child = new URL('send-under-gc.child.ts', import.meta.url).pathname
  const { status, stderr } = spawnSync(process.execPath, ['--expose-gc', child, netns.path], {
    encoding: 'utf8',
    env: { ...process.env, UV_THREADPOOL_SIZE: '1' },
  })
  expect(stderr).toBe('')
  expect(status).toBe(0)
  const prefixes = netns.ipJson('route show table 20000').map(({ dst }) => dst)
  expect(prefixes.toSorted()).toEqual(Array.from({ length: 256 }, (_, index) => `10.9.${index}.0/24`).toSorted())
})
