// A cluster of many pods and policies, as its API server would have it, and changes to it.
import { type Ipv4, ipv4FromNumber } from '../src/base/ip.ts'
import { unwrap } from '../src/base/result.ts'
import { parseNamespace } from '../src/kube/namespace.ts'
import { parseNetworkPolicy } from '../src/kube/network-policy.ts'
import { type JsonObject, objectKey } from '../src/kube/object.ts'
import { parsePolicyPod } from '../src/kube/policy-pod.ts'
import type { PolicyObjectChanges } from '../src/policy/policy-index.ts'

export const benchNodeName = 'bench-node'
export const localPodCount = 250
const peerPodCount = 10_000
const namespaceCount = 50
/** Half of the peers are in it. */
const bigNamespace = 'big'
export const bigPodCount = 5000
const localApps = 5
const apps = 20
const teams = 10
const versions = 5
const firstLocalAddress = 0x0a01_0000
const firstPeerAddress = 0x0a02_0000
/** Policies that select the pods of one change, and no others do. */
export const probePolicyCount = 4
const goldPolicyCount = 2

export type ObjectKind = 'namespace' | 'pod' | 'networkPolicy'
export interface WrittenObject {
  readonly kind: ObjectKind
  readonly manifest: JsonObject & { readonly metadata: JsonObject & { readonly name: string } }
}

/** One object that changes. */
export type ClusterChange =
  /** A peer's label, by which `probePolicyCount` rules select. */
  | { readonly kind: 'peer'; readonly pod: number; readonly isOn: boolean }
  /** A label of a pod of the node, by which policies select it: whether it is the one of another application. */
  | { readonly kind: 'local'; readonly pod: number; readonly isOther: boolean }
  /** A label of the namespace of 5,000 peers. */
  | { readonly kind: 'namespace'; readonly isGold: boolean }
  /** A port of the first rule of a policy. */
  | { readonly kind: 'policy'; readonly index: number; readonly port: number }

export function changedObject(change: ClusterChange): WrittenObject {
  switch (change.kind) {
    case 'peer':
      return peerPod(change.pod, change.isOn)
    case 'local':
      return localPod(change.pod, change.isOther)
    case 'namespace':
      return namespace(bigNamespace, { tier: change.isGold ? 'gold' : 'lead' })
    case 'policy':
      return policy(change.index, change.port)
  }
}

/** 250 pods of the node, 10,000 others, and so many policies of which every one selects pods of the node. */
export function clusterObjects(policyCount: number): readonly WrittenObject[] {
  const special = probePolicyCount + goldPolicyCount
  return [
    ...numbers(namespaceCount).map((index) => namespace(namespaceName(index), { team: `team-${index % teams}` })),
    changedObject({ kind: 'namespace', isGold: false }),
    ...numbers(localPodCount).map((index) => localPod(index, false)),
    ...numbers(peerPodCount).map((index) => peerPod(index, false)),
    ...numbers(policyCount - special).map((index) => policy(index, 8000 + (index % 40))),
    ...numbers(probePolicyCount).map(probePolicy),
    ...numbers(goldPolicyCount).map(goldPolicy),
  ]
}

export function parsedObjects(objects: readonly WrittenObject[]): PolicyObjectChanges {
  const parsed = <T>(kind: ObjectKind, parse: (raw: unknown) => T): ReadonlyMap<string, T> =>
    new Map(
      objects.flatMap((one) =>
        one.kind === kind ? [[objectKey(one.manifest.metadata), parse(one.manifest)] as const] : [],
      ),
    )
  return {
    namespaces: parsed('namespace', (raw) => unwrap(parseNamespace(raw))),
    pods: parsed('pod', (raw) => unwrap(parsePolicyPod(raw))),
    networkPolicies: parsed('networkPolicy', (raw) => unwrap(parseNetworkPolicy(raw))),
  }
}

export function localPodName(index: number): { readonly namespace: string; readonly name: string } {
  return { namespace: namespaceName(index), name: `local-${index}` }
}
export function localAddress(index: number): Ipv4 {
  return ipv4FromNumber(firstLocalAddress + index)
}
/** Those of the big namespace are the last ones. */
export function bigPod(index: number): number {
  return peerPodCount - bigPodCount + index
}
export function peerAddress(index: number): Ipv4 {
  return ipv4FromNumber(firstPeerAddress + index)
}

/** Policies whose peers a `peer` change touches. */
export function probePolicy(index: number): WrittenObject {
  const matchExpressions = [{ key: `without-${index}`, operator: 'DoesNotExist' }]
  const from = [{ namespaceSelector: {}, podSelector: { matchLabels: { probe: 'on' }, matchExpressions } }]
  return networkPolicy(`probe-${index}`, index, 0, { ingress: [{ from, ports: [{ port: 7000 }] }] })
}

/** The first one has all 5,000 peers of the big namespace when that is gold. */
export function goldPolicy(index: number): WrittenObject {
  const podSelector = index === 0 ? {} : { matchLabels: { app: 'app-1' } }
  const from = [{ namespaceSelector: { matchLabels: { tier: 'gold' } }, podSelector }]
  return networkPolicy(`gold-${index}`, index, 0, { ingress: [{ from, ports: [{ port: 7001 }] }] })
}

/** Half of the rules are about pods of the policy's namespace, half about a selection of their own among 10 namespaces. */
function policy(index: number, port: number): WrittenObject {
  const own = { podSelector: { matchLabels: { app: appName(index, 7) } } }
  // 4,000 selections without two alike: 10 teams × 20 applications × 20 choices of versions.
  const chosen = 1 + Math.floor(index / (teams * apps))
  const values = numbers(versions).flatMap((version) => ((chosen >> version) & 1 ? [`v${version}`] : []))
  const others = {
    namespaceSelector: { matchLabels: { team: `team-${index % teams}` } },
    podSelector: {
      matchLabels: { app: `app-${Math.floor(index / teams) % apps}` },
      matchExpressions: [{ key: 'version', operator: 'In', values }],
    },
  }
  const block = { ipBlock: { cidr: `172.${16 + (index % 16)}.0.0/16`, except: [`172.${16 + (index % 16)}.8.0/24`] } }
  const ingress = [
    { from: [own], ports: [{ port }] },
    { from: index % 10 === 0 ? [others, block] : [others], ports: [{ port: 'http' }, { port: 9000, endPort: 9010 }] },
  ]
  const dns = [{ protocol: 'UDP', port: 53 }, { port: 53 }]
  const egress = [{ to: [others], ports: [{ port: 'http' }] }, { ports: dns }]
  const rules = index % 3 === 0 ? { ingress, egress } : { ingress }
  return networkPolicy(`policy-${index}`, index, Math.floor(index / namespaceCount) % localApps, rules)
}

function networkPolicy(name: string, home: number, app: number, rules: JsonObject): WrittenObject {
  const policyTypes = 'egress' in rules ? ['Ingress', 'Egress'] : ['Ingress']
  return {
    kind: 'networkPolicy',
    manifest: {
      apiVersion: 'networking.k8s.io/v1',
      kind: 'NetworkPolicy',
      metadata: metadataOf(name, namespaceName(home), {}),
      spec: { podSelector: { matchLabels: { app: `app-${app}` } }, policyTypes, ...rules },
    },
  }
}

function localPod(index: number, isOther: boolean): WrittenObject {
  const app = (Math.floor(index / namespaceCount) + (isOther ? 1 : 0)) % localApps
  const { namespace: home, name } = localPodName(index)
  return pod(name, home, { app: `app-${app}`, version: 'v0' }, benchNodeName, localAddress(index))
}

function peerPod(index: number, isProbe: boolean): WrittenObject {
  const home = index < bigPod(0) ? namespaceName(index) : bigNamespace
  const labels = { app: appName(Math.floor(index / namespaceCount), 1), version: `v${(index % 7) % versions}` }
  const probe = isProbe ? { probe: 'on' } : {}
  return pod(`peer-${index}`, home, { ...labels, ...probe }, `node-${index % 100}`, peerAddress(index))
}

function pod(name: string, home: string, labels: JsonObject, nodeName: string, podIP: Ipv4): WrittenObject {
  const ports = [{ name: 'http', containerPort: 8080, protocol: 'TCP' }]
  return {
    kind: 'pod',
    manifest: {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: metadataOf(name, home, labels),
      spec: { nodeName, containers: [{ name: 'main', image: 'example.com/main:1', ports }] },
      status: { phase: 'Running', podIP, podIPs: [{ ip: podIP }] },
    },
  }
}

function namespace(name: string, labels: JsonObject): WrittenObject {
  const metadata = { name, labels: { 'kubernetes.io/metadata.name': name, ...labels } }
  return { kind: 'namespace', manifest: { apiVersion: 'v1', kind: 'Namespace', metadata } }
}

function metadataOf(name: string, home: string, labels: JsonObject) {
  return { namespace: home, name, labels, creationTimestamp: '2026-01-01T00:00:00Z' }
}

function namespaceName(index: number): string {
  return `bench-${index % namespaceCount}`
}

function appName(index: number, step: number): string {
  return `app-${(index * step) % apps}`
}

function numbers(count: number): readonly number[] {
  return Array.from({ length: count }, (_, index) => index)
}
