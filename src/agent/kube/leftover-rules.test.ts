import { expect, test } from 'vitest'
import { withNetns } from '../../linux/netns.ts'
import { TestNetns } from '../../linux/test-netns.fixture.ts'
import { nft } from '../../nftables/nft-listing.fixture.ts'
import { leftoverServiceRules } from './leftover-rules.ts'

test('an earlier agent’s service rules are told of, others’ tables are not', () => {
  using netns = new TestNetns()
  nft(netns, 'add', 'table', 'ip', 'kube-proxy')
  expect(withNetns(netns.fd, leftoverServiceRules)).toEqual([])
  nft(netns, 'add', 'table', 'ip', 'vcn-services')
  expect(withNetns(netns.fd, leftoverServiceRules)).toEqual([expect.stringContaining('vcnctl proxy cleanup')])
})
