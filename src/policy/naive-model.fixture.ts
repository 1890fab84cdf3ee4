import type {
  ClusterManifests,
  ClusterRuleManifest,
  NetworkPolicyManifest,
  PeerManifest,
  PodManifest,
  PortManifest,
  ProtocolManifest,
  SelectorManifest,
  SubjectManifest,
} from './manifests.fixture.ts'

// What network policy means, sentence by sentence from https://kubernetes.io/docs/concepts/services-networking/network-policies
// and the comments of the API types (k8s.io/api/networking/v1, network-policy-api v1alpha2). It asks every object every time
// and shares no code with what it checks.

/** An end of a flow: a pod of the cluster, or an address. */
export type End = { readonly pod: PodManifest } | { readonly address: string }
export interface Packet {
  readonly protocol: 'TCP' | 'UDP' | 'SCTP' | 'ICMP'
  readonly port: number
}
type Direction = 'ingress' | 'egress'

export function mayFlow(cluster: ClusterManifests, from: End, to: End, packet: Packet): boolean {
  if ('pod' in from && 'pod' in to && from.pod === to.pod) return true
  return allows(cluster, 'egress', from, to, packet) && allows(cluster, 'ingress', to, from, packet)
}

/** Whether the policies of `subject` let it have the flow with `other`. */
export function allows(
  cluster: ClusterManifests,
  direction: Direction,
  subject: End,
  other: End,
  packet: Packet,
): boolean {
  if (!('pod' in subject) || subject.pod.spec.hostNetwork) return true
  const { pod } = subject
  // The documentation lets traffic of the pod's own node pass; from it, that is (pods on its network are the node). Towards the
  // node this project is stricter: egress policies apply.
  if (direction === 'ingress' && 'pod' in other && other.pod.spec.hostNetwork && isSameNode(other.pod, pod)) return true

  // Before the labels of its namespace are known, nobody can tell which policies are for it.
  if (namespaceLabels(cluster, pod.metadata.namespace) === undefined) return false

  const admin = clusterVerdict(cluster, 'Admin', direction, pod, other, packet)
  if (admin === 'Accept') return true
  if (admin === 'Deny') return false

  const isolating = cluster.networkPolicies.filter((policy) => isolates(policy, direction, pod))
  if (isolating.length > 0)
    return isolating.some((policy) => networkPolicyAllows(cluster, policy, direction, pod, other, packet))

  return clusterVerdict(cluster, 'Baseline', direction, pod, other, packet) !== 'Deny'
}

function isSameNode(a: PodManifest, b: PodManifest): boolean {
  return a.spec.nodeName === b.spec.nodeName
}

function isolates({ metadata, spec }: NetworkPolicyManifest, direction: Direction, pod: PodManifest): boolean {
  const types = spec.policyTypes ?? ['Ingress', ...((spec.egress ?? []).length > 0 ? ['Egress'] : [])]
  const isAbout = types.includes(direction === 'ingress' ? 'Ingress' : 'Egress')
  return isAbout && metadata.namespace === pod.metadata.namespace && selects(spec.podSelector, pod.metadata.labels)
}

function networkPolicyAllows(
  cluster: ClusterManifests,
  { metadata, spec }: NetworkPolicyManifest,
  direction: Direction,
  pod: PodManifest,
  other: End,
  packet: Packet,
): boolean {
  const rules =
    direction === 'ingress'
      ? (spec.ingress ?? []).map(({ from, ports }) => ({ peers: from ?? [], ports: ports ?? [] }))
      : (spec.egress ?? []).map(({ to, ports }) => ({ peers: to ?? [], ports: ports ?? [] }))
  return rules.some(({ peers, ports }) => {
    const isPeer = peers.length === 0 || peers.some((peer) => peerMatches(cluster, metadata.namespace, peer, other))
    // Whoever has no known namespace is not even among «all pods».
    const isPeerPod = (one: PodManifest): boolean =>
      peers.length === 0
        ? namespaceLabels(cluster, one.metadata.namespace) !== undefined
        : peers.some((peer) => podMatches(cluster, metadata.namespace, peer, one))
    if (ports.length === 0) return isPeer
    return ports.some((port) => {
      if (typeof port.port !== 'string') return isPeer && portMatches(port, packet)
      // A name is looked up on the destination pod.
      const name = { name: port.port, protocol: port.protocol ?? 'TCP' }
      if (direction === 'ingress') return isPeer && hasNamedPort(pod, name, packet)
      return podsAt(cluster, other).some((one) => isPeerPod(one) && hasNamedPort(one, name, packet))
    })
  })
}

function peerMatches(cluster: ClusterManifests, home: string, peer: PeerManifest, other: End): boolean {
  if (peer.ipBlock !== undefined) {
    const { cidr, except = [] } = peer.ipBlock
    return isWithin(addressOf(other), cidr) && !except.some((block) => isWithin(addressOf(other), block))
  }
  return podsAt(cluster, other).some((pod) => podMatches(cluster, home, peer, pod))
}

function podMatches(cluster: ClusterManifests, home: string, peer: PeerManifest, pod: PodManifest): boolean {
  if (peer.ipBlock !== undefined) return false
  const isInNamespace =
    peer.namespaceSelector === undefined
      ? pod.metadata.namespace === home
      : selects(peer.namespaceSelector, namespaceLabels(cluster, pod.metadata.namespace))
  return isInNamespace && (peer.podSelector === undefined || selects(peer.podSelector, pod.metadata.labels))
}

function portMatches({ protocol = 'TCP', port, endPort }: PortManifest, packet: Packet): boolean {
  if (protocol !== packet.protocol) return false
  if (typeof port !== 'number') return port === undefined
  return packet.port >= port && packet.port <= (endPort ?? port)
}

/** The last word of a tier: that of the first rule that matches, in the order of priorities. */
function clusterVerdict(
  cluster: ClusterManifests,
  tier: 'Admin' | 'Baseline',
  direction: Direction,
  pod: PodManifest,
  other: End,
  packet: Packet,
): ClusterRuleManifest['action'] | undefined {
  const ofTier = cluster.clusterNetworkPolicies
    .filter(({ spec }) => spec.tier === tier && isSubject(cluster, spec.subject, pod))
    .sort((a, b) => a.spec.priority - b.spec.priority)
  for (const { spec } of ofTier)
    for (const rule of spec[direction] ?? [])
      if (clusterRuleMatches(cluster, rule, direction, pod, other, packet)) return rule.action
  return undefined
}

function clusterRuleMatches(
  cluster: ClusterManifests,
  rule: ClusterRuleManifest,
  direction: Direction,
  pod: PodManifest,
  other: End,
  packet: Packet,
): boolean {
  const peers = (direction === 'ingress' ? rule.from : rule.to) ?? []
  const isPeerPod = (one: PodManifest): boolean => peers.some((peer) => isSubject(cluster, peer, one))
  const isPeer =
    podsAt(cluster, other).some(isPeerPod) ||
    peers.some(({ networks = [] }) => networks.some((block) => isWithin(addressOf(other), block)))
  if (rule.protocols === undefined) return isPeer
  return rule.protocols.some((protocol) => {
    if (protocol.destinationNamedPort === undefined) return isPeer && protocolMatches(protocol, packet)
    const name = { name: protocol.destinationNamedPort }
    if (direction === 'ingress') return isPeer && hasNamedPort(pod, name, packet)
    return podsAt(cluster, other).some((one) => isPeerPod(one) && hasNamedPort(one, name, packet))
  })
}

function protocolMatches({ tcp, udp, sctp }: ProtocolManifest, packet: Packet): boolean {
  const wanted = { TCP: tcp, UDP: udp, SCTP: sctp, ICMP: undefined }[packet.protocol]
  if (wanted === undefined) return false
  const { number, range } = wanted.destinationPort
  if (number !== undefined) return number === packet.port
  return range !== undefined && packet.port >= range.start && packet.port <= range.end
}

function isSubject(cluster: ClusterManifests, subject: SubjectManifest, pod: PodManifest): boolean {
  const labels = namespaceLabels(cluster, pod.metadata.namespace)
  if (subject.namespaces !== undefined) return selects(subject.namespaces, labels)
  if (subject.pods === undefined) return false
  return selects(subject.pods.namespaceSelector, labels) && selects(subject.pods.podSelector, pod.metadata.labels)
}

function hasNamedPort(
  { spec }: PodManifest,
  wanted: { readonly name: string; readonly protocol?: string },
  packet: Packet,
): boolean {
  return spec.containers
    .flatMap(({ ports }) => ports)
    .some(
      ({ name, protocol, containerPort }) =>
        name === wanted.name &&
        protocol === (wanted.protocol ?? protocol) &&
        protocol === packet.protocol &&
        containerPort === packet.port,
    )
}

/** Whoever a packet's address stands for, to a selector: pods on the host's network and finished pods are nobody's peers. */
function podsAt(cluster: ClusterManifests, end: End): readonly PodManifest[] {
  return cluster.pods.filter(
    ({ spec, status }) =>
      status.podIP === addressOf(end) && !spec.hostNetwork && status.phase !== 'Succeeded' && status.phase !== 'Failed',
  )
}

function addressOf(end: End): string {
  return 'pod' in end ? end.pod.status.podIP : end.address
}

type LabelsManifest = Readonly<Record<string, string>>

function namespaceLabels(cluster: ClusterManifests, name: string): LabelsManifest | undefined {
  return cluster.namespaces.find(({ metadata }) => metadata.name === name)?.metadata.labels
}

function selects(selector: SelectorManifest, labels: LabelsManifest | undefined): boolean {
  if (labels === undefined) return false
  const labelOf = (key: string): string | undefined => (Object.hasOwn(labels, key) ? labels[key] : undefined)
  const isEqual = Object.entries(selector.matchLabels ?? {}).every(([key, value]) => labelOf(key) === value)
  return (
    isEqual &&
    (selector.matchExpressions ?? []).every(({ key, operator, values = [] }) => {
      const label = labelOf(key)
      if (operator === 'Exists') return label !== undefined
      if (operator === 'DoesNotExist') return label === undefined
      if (operator === 'In') return label !== undefined && values.includes(label)
      return label === undefined || !values.includes(label)
    })
  )
}

function isWithin(address: string, block: string): boolean {
  const [first = '', length = ''] = block.split('/')
  return bitsOf(address).slice(0, Number(length)) === bitsOf(first).slice(0, Number(length))
}

function bitsOf(address: string): string {
  return address
    .split('.')
    .map((part) => Number(part).toString(2).padStart(8, '0'))
    .join('')
}
