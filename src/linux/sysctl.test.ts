import { expect, test } from 'vitest'
import { withNetns } from './netns.ts'
import { ensureSysctl, readSysctl } from './sysctl.ts'
import { TestNetns } from './test-netns.fixture.ts'

const name = 'net/ipv4/ip_forward'

test('a sysctl is changed in the namespace of the call, and only when it has another value', () => {
  using netns = new TestNetns()
  const own = readSysctl(name)
  const outcomes = withNetns(netns.fd, () => [
    readSysctl(name),
    ensureSysctl(name, '1'),
    ensureSysctl(name, '1'),
    readSysctl(name),
  ])
  expect(outcomes).toEqual(['0', 'changed', 'unchanged', '1'])
  expect(netns.sysctl(name)).toBe('1')
  expect(readSysctl(name)).toBe(own)
})

test('setting what is set leaves the knobs alone that follow from it', () => {
  using netns = new TestNetns()
  withNetns(netns.fd, () => ensureSysctl(name, '1'))
  // Writing ip_forward, even with the value it has, would set forwarding on every interface again.
  withNetns(netns.fd, () => ensureSysctl('net/ipv4/conf/lo/forwarding', '0'))
  withNetns(netns.fd, () => ensureSysctl(name, '1'))
  expect(netns.sysctl('net/ipv4/conf/lo/forwarding')).toBe('0')
})

test('one that does not exist throws', () => {
  expect(() => readSysctl('net/ipv4/nonexistent')).toThrow('ENOENT')
  expect(() => ensureSysctl('net/ipv4/nonexistent', '1')).toThrow('ENOENT')
})

test('a value that the kernel refuses throws', () => {
  using netns = new TestNetns()
  expect(() => withNetns(netns.fd, () => ensureSysctl(name, 'yes'))).toThrow('EINVAL')
})
