// What Istio's ambient mode asks of a pod's network, without Istio: its node agent gives probes a source of its own.
import { expect, it, vi } from 'vitest'
import { TestNode } from '../clients/test-node.ts'

vi.setConfig({ testTimeout: 60_000 })

/** The address that probes get (istio/cni, HOST_PROBE_SNAT_IP). */
const probeSource = '169.254.7.127'

it('a probe under Istio’s link-local address reaches a pod, and its answer the node', async () => {
  await using node = await TestNode.start()
  const pod = node.addPodNetns()
  const { json } = await node.cni('ADD', { containerId: 'ambient', netnsPath: pod })
  const address = (json as { readonly ips: readonly [{ readonly address: string }] }).ips[0].address.split('/')[0] ?? ''
  const counting = `table ip seen { chain in { type filter hook input priority 0; ip saddr ${probeSource} counter; }; }`
  const translating = `table ip probes { chain out { type nat hook postrouting priority 100; ip daddr ${address} snat to ${probeSource}; }; }`
  expect(await node.exec(pod, ['nft', counting])).toMatchObject({ code: 0 })
  expect(await node.exec(node.netnsPath, ['nft', translating])).toMatchObject({ code: 0 })

  const ping = await node.exec(node.netnsPath, ['ping', '-n', '-c', '3', '-i', '0.2', '-W', '5', address])
  expect(ping.stdout).toContain('3 received')
  const seen = await node.exec(pod, ['nft', 'list', 'table', 'ip', 'seen'])
  expect(seen.stdout).toContain(`ip saddr ${probeSource} counter packets 3`)
})

it('link-local addresses are the gateway’s in a pod, and on the node the way to a pod comes before rules by source', async () => {
  await using node = await TestNode.start()
  const pod = node.addPodNetns()
  await node.cni('ADD', { containerId: 'ambient', netnsPath: pod })
  const inPod = await node.exec(pod, ['ip', 'route', 'get', probeSource])
  expect(inPod.stdout).toMatch(/^169\.254\.7\.127 via 169\.254\.1\.1 dev eth0/)
  const { stdout: rules } = await node.exec(node.netnsPath, ['ip', 'rule'])
  expect(rules).toMatch(/lookup 20000[^]*from \d[^]*lookup main/)
  expect(rules).not.toContain('iif')
})
