import { afterEach, beforeEach, expect, it } from 'vitest'
import { parseIpv4 } from '../../base/ip.ts'
import { silentLogger } from '../../base/logger.ts'
import { unwrap } from '../../base/result.ts'
import { systemScheduler } from '../../kube/scheduler.ts'
import { NatFlows } from '../../linux/nat-flows.fixture.ts'
import { withNetns } from '../../linux/netns.ts'
import { Libnftables } from '../../nftables/libnftables.ts'
import { slice, web } from '../../proxy/one-service.fixture.ts'
import { parsedService, parsedSlice } from '../../proxy/resolve-manifests.fixture.ts'
import { ServiceIndex } from '../../proxy/service-index.ts'
import type { ProxyNode } from '../../proxy/service-table.ts'
import { KernelRules } from './kernel-rules.ts'
import { nobodyCounts } from './proxy-observer.ts'

const { signal } = new AbortController()
const address = unwrap(parseIpv4('10.0.0.254'))

let flows: NatFlows
let kernel: KernelRules
beforeEach(() => {
  flows = new NatFlows()
  kernel = withNetns(
    flows.node.fd,
    () =>
      new KernelRules({
        library: unwrap(Libnftables.load()),
        observer: nobodyCounts,
        onLost: () => undefined,
        onRepaired: () => undefined,
        scheduler: systemScheduler,
        logger: silentLogger,
      }),
  )
})
afterEach(async () => {
  await kernel[Symbol.asyncDispose]()
  flows[Symbol.dispose]()
})

it('lets a client that sent to a node port before the Node had an address arrive there', async () => {
  await flows.serveUdp('10.1.0.2', 8080, 'one')
  const early: ProxyNode = { name: 'here', family: 4, nodePortAddresses: [] }
  const index = new ServiceIndex(early)
  const service = web({ type: 'NodePort', externalIPs: [], ports: [{ port: 53, nodePort: 30_053, protocol: 'UDP' }] })
  const endpoints = slice([{ addresses: ['10.1.0.2'], nodeName: 'here' }], {
    ports: [{ name: '', port: 8080, protocol: 'UDP' }],
  })
  const objects = { services: new Map([parsedService(service)]), slices: new Map([parsedSlice(endpoints)]) }
  kernel.change({ ...index.apply(objects), nodePortAddresses: [] }, [])
  expect(await kernel.apply(0, signal)).toEqual({ ok: true, value: undefined })
  expect(flows.ask('UDP', '10.0.0.254', 30_053, 5001)).toBe('')
  kernel.change(index.apply({ node: { ...early, primaryAddress: address, nodePortAddresses: [address] } }), [])
  expect(await kernel.apply(0, signal)).toEqual({ ok: true, value: undefined })
  expect(flows.ask('UDP', '10.0.0.254', 30_053, 5001)).toBe('one')
})
