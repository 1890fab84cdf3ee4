import { parseIpv4 } from '../base/ip.ts'
import { unwrap } from '../base/result.ts'
import { type EndpointSlice, parseEndpointSlice } from '../kube/endpoint-slice.ts'
import { objectKey } from '../kube/object.ts'
import { parseService, type Service } from '../kube/service.ts'
import type { ClusterManifests, ServiceManifest, SliceManifest } from './manifests.fixture.ts'
import { resolveServices, type ServiceSnapshot } from './resolve-services.ts'
import type { ProxyNode, ServiceTable } from './service-table.ts'

export function resolveManifests(cluster: ClusterManifests): ServiceTable {
  return resolveServices(snapshotOf(cluster))
}

export function snapshotOf({ services, slices, node }: ClusterManifests): ServiceSnapshot {
  return {
    services: new Map(services.map(parsedService)),
    slices: new Map(slices.map(parsedSlice)),
    node: nodeOf(node),
  }
}

export function nodeOf({ address, ...node }: ClusterManifests['node']): ProxyNode {
  const primaryAddress = unwrap(parseIpv4(address))
  return { ...node, family: 4, primaryAddress, nodePortAddresses: [primaryAddress] }
}

export function parsedService(manifest: ServiceManifest): readonly [key: string, Service] {
  return [objectKey(manifest.metadata), unwrap(parseService(manifest))]
}

export function parsedSlice(manifest: SliceManifest): readonly [key: string, EndpointSlice] {
  return [objectKey(manifest.metadata), unwrap(parseEndpointSlice(manifest))]
}
