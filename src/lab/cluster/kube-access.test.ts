import { KubeConfig } from '@kubernetes/client-node'
import { describe, expect, it } from 'vitest'
import { unwrap } from '../../base/result.ts'
import { renderNodeKubeconfig, targetOf } from './kube-access.ts'

function config(server: string, more: object = {}): KubeConfig {
  const made = new KubeConfig()
  const clusters = [
    { name: 'other', cluster: { server: 'https://elsewhere:1' } },
    { name: 'own', cluster: { server, 'certificate-authority-data': 'Q0E=', ...more } },
  ]
  const users = [{ name: 'u', user: { token: 't' } }]
  const contexts = [{ name: 'c', context: { cluster: 'own', user: 'u' } }]
  made.loadFromString(
    JSON.stringify({ apiVersion: 'v1', kind: 'Config', clusters, users, contexts, 'current-context': 'c' }),
  )
  return made
}

function ofNode(original: KubeConfig): { readonly server?: string; readonly tlsServerName?: string | undefined } {
  const made = new KubeConfig()
  made.loadFromString(unwrap(renderNodeKubeconfig(original)))
  return made.getCurrentCluster() ?? {}
}

describe('the kubeconfig of the nodes', () => {
  it.each([
    ['the small API server', config('https://127.0.0.1:4567'), 'https://127.0.0.1:6443', undefined],
    ['one with a name', config('https://api.example:6444'), 'https://127.0.0.1:6443', 'api.example'],
    [
      'one behind a path',
      config('https://rancher.example/k8s/c1/'),
      'https://127.0.0.1:6443/k8s/c1',
      'rancher.example',
    ],
    ['one with another address', config('https://10.9.8.7:6443'), 'https://127.0.0.1:6443', '10.9.8.7'],
    [
      'one whose certificate has another name',
      config('https://a:1', { 'tls-server-name': 'b' }),
      'https://127.0.0.1:6443',
      'b',
    ],
    [
      'one in plain http',
      config('http://a:1', { 'insecure-skip-tls-verify': true }),
      'http://127.0.0.1:6443',
      undefined,
    ],
  ])('goes through the forwarder to %s, and expects its certificate', (_, original, server, tlsServerName) => {
    expect(ofNode(original).server).toBe(server)
    expect(ofNode(original).tlsServerName).toBe(tlsServerName)
  })

  it('keeps the credentials, and other clusters as they are', () => {
    const text = unwrap(renderNodeKubeconfig(config('https://a:1')))
    expect(text).toContain('"token": "t"')
    expect(text).toContain('https://elsewhere:1')
  })
})

describe('targetOf', () => {
  it.each([
    ['https://a', { host: 'a', port: 443 }],
    ['http://a', { host: 'a', port: 80 }],
    ['https://[::1]:6443/x', { host: '::1', port: 6443 }],
  ])('%s', (url, target) => {
    expect(targetOf(url)).toEqual(target)
  })
})
