import { expect, test } from 'vitest'
import { unwrap } from '../base/result.ts'
import { parseNamespace } from './namespace.ts'
import { parsePolicyPod } from './policy-pod.ts'

const metadata = { name: 'a', namespace: 'shop', labels: { app: 'web' } }

test('a pod with what policy needs, among what it does not', () => {
  const pod = unwrap(
    parsePolicyPod({
      metadata,
      spec: {
        nodeName: 'n1',
        containers: [
          { name: 'web', image: 'x', ports: [{ name: 'http', containerPort: 8080 }, { containerPort: 9 }] },
          { name: 'dns', ports: [{ name: 'dns', containerPort: 53, protocol: 'UDP' }] },
          { name: 'silent' },
        ],
        initContainers: [
          { name: 'setup', ports: [{ name: 'setup', containerPort: 1 }] },
          { name: 'sidecar', restartPolicy: 'Always', ports: [{ name: 'proxy', containerPort: 15_001 }] },
        ],
      },
      status: { phase: 'Running', podIPs: [{ ip: '10.0.4.7' }, { ip: 'fd00:0::7' }] },
    }),
  )
  expect(pod).toMatchObject({
    metadata: { namespace: 'shop', labels: { app: 'web' } },
    nodeName: 'n1',
    hostNetwork: false,
    phase: 'Running',
    addresses: ['10.0.4.7', 'fd00::7'],
    namedPorts: [
      { name: 'http', protocol: 'TCP', port: 8080 },
      { name: 'dns', protocol: 'UDP', port: 53 },
      { name: 'proxy', protocol: 'TCP', port: 15_001 },
    ],
  })
})

test('what is no address or no port is left out', () => {
  const ports = [{ name: 'http', containerPort: 'x' }, { name: 'UPPER', containerPort: 1 }, 'x', null]
  const pod = unwrap(
    parsePolicyPod({ metadata, spec: { containers: [{ ports }, null] }, status: { podIP: '127.0.0.1' } }),
  )
  expect(pod).toMatchObject({ addresses: [], namedPorts: [] })
})

test('a namespace has labels', () => {
  expect(unwrap(parseNamespace({ metadata: { name: 'shop', labels: { team: 'a' } } })).metadata.labels).toEqual({
    team: 'a',
  })
})
