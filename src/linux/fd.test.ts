import { closeSync, constants, fstatSync, openSync, readlinkSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { Fd } from './fd.ts'

const open = (path = '/dev/null'): Fd => Fd.open(path, constants.O_RDONLY)

/** Whether the descriptor is the one that `open` gave: the number may be another file's by now. */
function isOpen(fd: number): boolean {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`) === '/dev/null'
  } catch {
    return false
  }
}

/** Opens files until one gets the number: then it is somebody else's. */
function takeNumber(fd: number): Disposable {
  const taken: number[] = []
  do taken.push(openSync('/dev/zero', constants.O_RDONLY))
  while (!taken.includes(fd))
  return { [Symbol.dispose]: () => taken.forEach((number) => closeSync(number)) }
}

describe('an owned descriptor', () => {
  test('is open inside its scope and closed after it', () => {
    let number: number
    {
      using fd = open()
      number = fd.number
      expect(fd.isOpen).toBe(true)
      expect(readlinkSync(`/proc/self/fd/${number}`)).toBe('/dev/null')
    }
    expect(isOpen(number)).toBe(false)
  })

  test('is closed when the scope throws', () => {
    let number = -1
    const scope = (): void => {
      using fd = open()
      number = fd.number
      throw new Error('the work failed')
    }
    expect(scope).toThrow('the work failed')
    expect(isOpen(number)).toBe(false)
  })

  test('closed a second time, leaves alone whoever has the number by then', () => {
    const fd = open()
    const { number } = fd
    fd[Symbol.dispose]()
    using _stranger = takeNumber(number)
    fd[Symbol.dispose]()
    fd.closeLater()
    expect(fstatSync(number).isCharacterDevice()).toBe(true)
    expect(readlinkSync(`/proc/self/fd/${number}`)).toBe('/dev/zero')
  })

  test('closed later is closed once, and is nobody’s from the start', async () => {
    const fd = open()
    const { number } = fd
    fd.closeLater()
    expect(fd.isOpen).toBe(false)
    expect(() => fd.number).toThrow('closed')
    await expect.poll(() => isOpen(number), { timeout: 20_000 }).toBe(false)
    using _stranger = takeNumber(number)
    fd[Symbol.dispose]()
    expect(readlinkSync(`/proc/self/fd/${number}`)).toBe('/dev/zero')
  })

  test('has no number once it is closed', () => {
    const fd = open()
    fd[Symbol.dispose]()
    expect(fd.isOpen).toBe(false)
    expect(() => fd.number).toThrow('this descriptor is closed')
  })

  test('that somebody else has closed is noticed', () => {
    const fd = open()
    closeSync(fd.number)
    expect(() => fd[Symbol.dispose]()).toThrow('bad file descriptor (EBADF)')
  })
})

test('a file that is missing cannot be opened', () => {
  expect(() => open('/nonexistent/file')).toThrow('ENOENT')
})
