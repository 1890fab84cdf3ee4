import { expect, test } from 'vitest'
import { formatAttachmentKey } from './attachment.ts'

test('the three parts of a key in the order of the specification', () => {
  const key = { network: 'vcn-cni', containerId: '3f6940ab5ab4', ifname: 'eth0' }
  expect(formatAttachmentKey(key)).toBe('vcn-cni/3f6940ab5ab4/eth0')
})
