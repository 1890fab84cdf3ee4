import { mkdirSync } from 'node:fs'
import { sidecarImage } from '../sidecar/images.ts'
import { writePeers } from '../sidecar/peers.ts'
import { type ClusterPod, isPodOver, statusText } from './cluster-pod.ts'
import { isBehind, type SelectingService } from './endpoint-slices.ts'
import { peersFile } from './pod-sidecar.ts'

/** Whom sidecars speak mutual TLS with: pods that have one of ours, and Services that have only such pods. */
export function meshedAddresses(services: readonly SelectingService[], pods: readonly ClusterPod[]): readonly string[] {
  const living = pods.filter((pod) => !isPodOver(pod))
  const meshed = new Set(living.filter(({ containers }) => containers.some(({ image }) => image === sidecarImage)))
  const podAddresses = [...meshed].flatMap((pod) => statusText(pod, 'podIP') ?? [])
  const serviceAddresses = services.flatMap((service) => {
    const backends = living.filter((pod) => isBehind(service, pod))
    const isMeshed = backends.length > 0 && backends.every((pod) => meshed.has(pod))
    return isMeshed ? service.clusterIps : []
  })
  return [...podAddresses, ...serviceAddresses].sort()
}

/** Tells the sidecars when it is something new. */
export class MeshPeersWriter {
  readonly #directory: string
  #written: string | undefined

  constructor(directory: string) {
    this.#directory = directory
  }

  write(services: readonly SelectingService[], pods: readonly ClusterPod[]): void {
    const addresses = meshedAddresses(services, pods)
    const text = addresses.join(' ')
    if (text === this.#written) return
    mkdirSync(this.#directory, { recursive: true, mode: 0o755 })
    writePeers(peersFile(this.#directory), addresses)
    this.#written = text
  }
}
