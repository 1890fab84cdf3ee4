// A cluster of many Services of one port, as its API server would have it: `bench/s0`, `bench/s1`, …
import { type Ipv4, ipv4FromNumber } from '../src/base/ip.ts'
import { unwrap } from '../src/base/result.ts'
import { type EndpointSlice, parseEndpointSlice } from '../src/kube/endpoint-slice.ts'
import { type JsonObject, objectKey } from '../src/kube/object.ts'
import { parseService, type Service } from '../src/kube/service.ts'
import type { Endpoint, ProxyNode } from '../src/proxy/service-table.ts'

const firstService = 0x0a60_0000
const firstEndpoint = 0x0a01_0000
const endpointAddresses = 60_000
export const servicePort = 80
export const endpointPort = 8080
/** Every endpoint is in it. */
export const endpointBlock = '10.1.0.0/16'

export const benchNode: ProxyNode = { name: 'bench-node', family: 4, nodePortAddresses: [] }

export function serviceAddress(index: number): Ipv4 {
  return ipv4FromNumber(firstService + index)
}

/** Of the first Service's first endpoint on; the others' follow. */
export function endpointAddress(number: number): Ipv4 {
  return ipv4FromNumber(firstEndpoint + (number % endpointAddresses))
}

/** Services have no endpoint in common as long as there are addresses left. */
export function endpointsOf(index: number, count: number): readonly Endpoint[] {
  return Array.from({ length: count }, (_, number) => ({
    address: endpointAddress(index * count + number),
    port: endpointPort,
  }))
}

/** The wire form, without what the API server adds. */
export function serviceManifest(index: number): JsonObject {
  const clusterIP = serviceAddress(index)
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: metadataOf(`s${index}`, {}),
    spec: {
      type: 'ClusterIP',
      clusterIP,
      clusterIPs: [clusterIP],
      ipFamilies: ['IPv4'],
      ipFamilyPolicy: 'SingleStack',
      internalTrafficPolicy: 'Cluster',
      sessionAffinity: 'None',
      selector: { app: `s${index}` },
      ports: [{ port: servicePort, protocol: 'TCP', targetPort: endpointPort }],
    },
    status: { loadBalancer: {} },
  }
}

/** All endpoints of a Service in one slice; the first `absent` of them are not there. */
export function sliceManifest(index: number, endpointCount: number, absent = 0): JsonObject {
  const name = `s${index}`
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: metadataOf(`${name}-1`, { 'kubernetes.io/service-name': name }),
    addressType: 'IPv4',
    ports: [{ name: '', port: endpointPort, protocol: 'TCP' }],
    endpoints: endpointsOf(index, endpointCount)
      .slice(absent)
      .map(({ address }, number) => ({
        addresses: [address],
        conditions: { ready: true, serving: true, terminating: false },
        nodeName: `node-${(index + number) % 100}`,
        targetRef: { kind: 'Pod', namespace: 'bench', name: `${name}-${number}` },
      })),
  }
}

export interface ServiceObjects {
  readonly services: ReadonlyMap<string, Service>
  readonly slices: ReadonlyMap<string, EndpointSlice>
}

/** `count` Services from number `first` on, parsed. */
export function serviceObjects(first: number, count: number, endpointCount: number): ServiceObjects {
  const services = new Map<string, Service>()
  for (let index = first; index < first + count; index++) {
    const service = unwrap(parseService(serviceManifest(index)))
    services.set(objectKey(service.metadata), service)
  }
  return { services, slices: sliceObjects(first, count, endpointCount) }
}

export function sliceObjects(
  first: number,
  count: number,
  endpointCount: number,
  absent = 0,
): ReadonlyMap<string, EndpointSlice> {
  const slices = new Map<string, EndpointSlice>()
  for (let index = first; index < first + count; index++) {
    const slice = unwrap(parseEndpointSlice(sliceManifest(index, endpointCount, absent)))
    slices.set(objectKey(slice.metadata), slice)
  }
  return slices
}

function metadataOf(name: string, labels: JsonObject): JsonObject {
  return { namespace: 'bench', name, labels: { app: name, ...labels }, creationTimestamp: '2026-01-01T00:00:00Z' }
}
