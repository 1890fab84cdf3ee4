import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { issueIdentity } from '../sidecar/certificates.ts'
import { haproxyConfig } from '../sidecar/haproxy-config.ts'
import { haproxyImage, sidecarImage } from '../sidecar/images.ts'
import type { ClusterPod, PodContainer } from './cluster-pod.ts'

const vcnctl = `${import.meta.dirname}/../../../bin/vcnctl`

/** In a lab's directory for its mesh, which the sidecars' users can read but for the keys. */
export function peersFile(meshDirectory: string): string {
  return join(meshDirectory, 'peers.json')
}

/** The container with what is run for it, if it is a sidecar of the lab: a mesh's image brings its own command. */
export async function withSidecarCommand(
  container: PodContainer,
  { metadata: { namespace, name } }: ClusterPod,
  meshDirectory: string,
): Promise<PodContainer> {
  switch (container.image) {
    case sidecarImage: {
      const { key, certificate, authority } = await issueIdentity(meshDirectory, namespace, name)
      const files = ['--key', key, '--certificate', certificate, '--authority', authority]
      const profile = container.name === 'linkerd-proxy' ? 'linkerd' : 'istio'
      const command = [vcnctl, 'lab', 'sidecar', '--profile', profile, ...files, '--peers', peersFile(meshDirectory)]
      // It takes its user itself, once it has read its key.
      const { runAsUser: _user, runAsGroup: _group, ...rest } = container
      return { ...rest, command }
    }
    case haproxyImage: {
      mkdirSync(meshDirectory, { recursive: true, mode: 0o755 })
      const file = join(meshDirectory, 'haproxy.cfg')
      writeFileSync(file, haproxyConfig(), { mode: 0o644 })
      return { ...container, command: ['haproxy', '-f', file] }
    }
    default:
      return container
  }
}
