import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { unwrap } from '../src/base/result.ts'
import { createNamedNetns, netnsDirectory, openNetns, removeNamedNetns, withNetns } from '../src/linux/netns.ts'
import { ensureSysctl } from '../src/linux/sysctl.ts'
import type { PodPath } from './traffic.ts'

const mtuBytes = 9000
const gateway = { address: '169.254.1.1', mac: 'ee:ee:ee:ee:ee:ee' }
const pods = { client: '10.0.4.11', server: '10.0.4.12' }

export type RoutedPath = PodPath & AsyncDisposable

/**
 * What routing between two veth pairs costs at least: forwarding, a /32 route to each pod, and nothing else; no rules,
 * no reverse path check, no netfilter. By iproute2, so that nothing of ours has a part in it.
 */
export function makeRoutedPath(): RoutedPath {
  const name = `routed-${randomBytes(4).toString('hex')}`
  const namespaces = { node: `${name}-node`, client: `${name}-client`, server: `${name}-server` }
  const remove = (): Promise<void> => {
    for (const namespace of Object.values(namespaces)) removeNamedNetns(namespace)
    return Promise.resolve()
  }
  try {
    for (const namespace of Object.values(namespaces)) createNamedNetns(namespace)
    // Without any address of its own, the node would take the pods' for broadcast addresses: it has no table "local" then
    // (net/ipv4/fib_frontend.c, __inet_dev_addr_type).
    batch(namespaces.node, ['link set lo up'])
    using node = unwrap(openNetns(netnsPath(namespaces.node)))
    withNetns(node, () => {
      ensureSysctl('net/ipv4/ip_forward', '1')
      for (const scope of ['all', 'default']) ensureSysctl(`net/ipv4/conf/${scope}/rp_filter`, '0')
    })
    for (const pod of ['client', 'server'] as const) {
      const address = pods[pod]
      connectPod(namespaces.node, { netns: namespaces[pod], address, port: `veth-${address.split('.').at(-1) ?? ''}` })
    }
  } catch (error) {
    void remove()
    throw error
  }
  return {
    name: 'bare routed path',
    clientNetnsPath: netnsPath(namespaces.client),
    serverNetnsPath: netnsPath(namespaces.server),
    serverAddress: pods.server,
    [Symbol.asyncDispose]: remove,
  }
}

function netnsPath(name: string): string {
  return `${netnsDirectory}/${name}`
}

export interface RoutedPod {
  readonly netns: string
  readonly address: string
  /** The node's end of its veth pair. */
  readonly port: string
}

export function connectPod(node: string, { netns, address, port }: RoutedPod): void {
  batch(node, [
    `link add ${port} mtu ${mtuBytes} address ${gateway.mac} type veth peer name eth0 mtu ${mtuBytes} netns ${netns}`,
    `link set ${port} up`,
    `route add ${address}/32 dev ${port} scope link`,
  ])
  batch(netns, [
    'link set lo up',
    'link set eth0 up',
    `address add ${address}/32 dev eth0`,
    `route add ${gateway.address} dev eth0 scope link`,
    `route add default via ${gateway.address} dev eth0`,
    `neighbour add ${gateway.address} lladdr ${gateway.mac} dev eth0 nud permanent`,
  ])
}

/** Commands of `ip`, in a namespace. */
export function batch(netns: string, lines: readonly string[]): void {
  execFileSync('ip', ['-n', netns, '-batch', '-'], {
    input: `${lines.join('\n')}\n`,
    stdio: ['pipe', 'ignore', 'inherit'],
  })
}
