import type { CniResult } from './result.ts'

/** A result with every field there is, of both families. */
export const fullResult: CniResult = {
  interfaces: [
    { name: 'oci0123456789a', mac: '02:00:17:00:00:01', mtu: 9000 },
    {
      name: 'eth0',
      mac: '02:00:17:00:00:02',
      mtu: 9000,
      sandbox: '/run/netns/cni-1',
      socketPath: '/run/vhost/eth0.sock',
      pciID: '0000:00:1f.6',
    },
  ],
  ips: [
    { address: '10.0.4.7/32', gateway: '169.254.1.1', interface: 1 },
    { address: 'fd00::7/128', interface: 1 },
  ],
  routes: [
    { dst: '169.254.1.1/32', scope: 253 },
    { dst: '0.0.0.0/0', gw: '169.254.1.1', mtu: 8900, advmss: 8860, priority: 100, table: 254, scope: 0 },
    { dst: '::/0', gw: 'fe80::1' },
  ],
  dns: { nameservers: ['10.96.0.10'], domain: 'shop.local', search: ['svc.local', 'local'], options: ['ndots:5'] },
}
