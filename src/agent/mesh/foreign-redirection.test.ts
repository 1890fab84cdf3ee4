import { execFileSync } from 'node:child_process'
import { expect, test } from 'vitest'
import { TestNetns } from '../../linux/test-netns.fixture.ts'
import { foreignRedirection } from './foreign-redirection.ts'

test.each<[what: string, command: string, expected: unknown]>([
  ['nothing at all', 'true', undefined],
  ['tables and chains of others', 'iptables-nft -t nat -N KUBE-SERVICES', undefined],
  ['our own', 'nft add table inet vcn-mesh', undefined],
  ['istio-init, iptables-legacy', 'iptables-legacy -t nat -N ISTIO_REDIRECT', ['istio', 'ISTIO_REDIRECT']],
  ['istio-init, IPv6 alone', 'ip6tables-legacy -t mangle -N ISTIO_TPROXY', ['istio', 'ISTIO_TPROXY']],
  ['istio-cni, iptables-nft', 'iptables-nft -t nat -N ISTIO_OUTPUT', ['istio', 'ISTIO_OUTPUT']],
  ['istio’s nftables', 'nft add table inet istio-proxy-nat', ['istio', 'istio-proxy-nat']],
  ['linkerd’s proxy-init', 'iptables-legacy -t nat -N PROXY_INIT_OUTPUT', ['linkerd', 'PROXY_INIT_OUTPUT']],
  ['the same, iptables-nft', 'iptables-nft -t nat -N PROXY_INIT_REDIRECT', ['linkerd', 'PROXY_INIT_REDIRECT']],
])('in a namespace with %s', (_what, command, expected) => {
  using pod = new TestNetns()
  execFileSync('ip', ['netns', 'exec', pod.name, ...command.split(' ')], { stdio: 'pipe' })
  const found = foreignRedirection(pod.fd)
  expect(found && [found.installer, found.name]).toEqual(expected)
})
