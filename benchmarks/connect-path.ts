import { execFileSync } from 'node:child_process'
import { withNetns } from '../src/linux/netns.ts'
import { ensureSysctl } from '../src/linux/sysctl.ts'
import { TestNetns } from '../src/linux/test-netns.fixture.ts'
import { batch, connectPod } from './routed-path.ts'
import { endpointBlock } from './service-objects.ts'

const pods = { client: '10.0.4.11', backend: '10.0.4.12' }

/** A client's pod, its node, and a pod behind it that has the addresses of all endpoints. No rules yet. */
export class ConnectPath implements Disposable {
  readonly #scope = new DisposableStack()
  readonly client: TestNetns
  readonly node: TestNetns
  readonly backend: TestNetns

  constructor() {
    try {
      this.client = this.#scope.use(new TestNetns())
      this.node = this.#scope.use(new TestNetns())
      this.backend = this.#scope.use(new TestNetns())
      this.#connect()
    } catch (error) {
      this.#scope.dispose()
      throw error
    }
  }

  /** As every node does that has a firewall, or translates any address: most of what a first rule costs. */
  trackConnections(): void {
    const rules = 'table ip bench-tracking { chain c { type filter hook forward priority 0; ct state invalid drop; }; }'
    execFileSync('ip', ['netns', 'exec', this.node.name, 'nft', rules], { stdio: ['ignore', 'ignore', 'inherit'] })
  }

  [Symbol.dispose](): void {
    this.#scope.dispose()
  }

  #connect(): void {
    const { client, node, backend } = this
    withNetns(node.fd, () => {
      ensureSysctl('net/ipv4/ip_forward', '1')
      for (const scope of ['all', 'default']) ensureSysctl(`net/ipv4/conf/${scope}/rp_filter`, '0')
      // Closed by a reset; as long as connections go on being made, they would fill the kernel's table.
      ensureSysctl('net/netfilter/nf_conntrack_tcp_timeout_close', '1')
    })
    connectPod(node.name, { netns: client.name, address: pods.client, port: 'oci1' })
    connectPod(node.name, { netns: backend.name, address: pods.backend, port: 'oci2' })
    batch(node.name, [`route add ${endpointBlock} via ${pods.backend} dev oci2 onlink`])
    batch(backend.name, [`route add local ${endpointBlock} dev lo`])
    // What TCP remembers of each address is no part of the path, and there are more of them at 30,000 services than at 10.
    for (const pod of [client, backend]) withNetns(pod.fd, () => void ensureSysctl('net/ipv4/tcp_no_metrics_save', '1'))
  }
}
