import * as z from 'zod'

/** What makes a lab a cluster: its emulated cloud, the wishes for its pods' addresses, and what runs on it. */
export interface ClusterSettings {
  /** Of every node. */
  readonly shape: string
  readonly ocpus: number
  /** Where pods' addresses come from, by the subnets' names in the scenario. */
  readonly podSubnets: readonly string[]
  readonly maxPodCount: number
  /** Whether the agents translate Services' addresses, in kube-proxy's place. */
  readonly services: boolean
  /** Who enforces network policies on the nodes, as in the agents' configuration. */
  readonly policy: PolicyEngineName
  /** Whether the agents install the redirection of pods with a sidecar (plugin vcn-mesh). */
  readonly mesh: boolean
  readonly elastic: ElasticWishes
  readonly controller: ControllerSettings
  readonly cloud: CloudTimes
  readonly sets: readonly PodSet[]
}

export type PolicyEngineName = (typeof policyEngines)[number]

export interface ElasticWishes {
  readonly minimumAddresses: number
  readonly warmAddresses: number
  readonly preferBlocks: boolean
}

/** The same keys as in the controller's configuration file. */
export interface ControllerSettings {
  readonly resyncSeconds: number
  readonly shrinkDelaySeconds: number
  readonly attachPollSeconds: number
}

/** How long the emulated cloud takes, and what it grants. */
export interface CloudTimes {
  readonly attachSeconds: number
  readonly detachSeconds: number
  readonly subnetUpdateSeconds: number
  readonly addressesPerVnic: number
}

/** Pods that are alike, labelled app=NAME: the lab's stand-in for a Deployment. */
export interface PodSet {
  readonly name: string
  readonly replicas: number
  /** What its one container runs, a program of this machine; absent: a small web server on `port`, or nothing. */
  readonly command?: readonly string[] | undefined
  /** With a port comes a readiness probe, and a Service of the set's name. */
  readonly port?: number | undefined
}

const policyEngines = ['vcn', 'calico', 'off'] as const
const seconds = z.number().min(0).max(3600)
const count = z.int().min(0).max(1000)
const setName = z
  .string()
  .regex(/^[a-z](?:[a-z0-9-]{0,50}[a-z0-9])?$/, 'must be lower-case letters, digits and inner hyphens')

const elastic = z.strictObject({
  minimumAddresses: count.default(2),
  warmAddresses: count.default(2),
  preferBlocks: z.boolean().default(true),
})

const controller = z.strictObject({
  resyncSeconds: z.int().min(1).max(3600).default(30),
  shrinkDelaySeconds: z.int().min(0).max(3600).default(5),
  attachPollSeconds: z.number().min(0.1).max(60).default(0.5),
})

const cloud = z.strictObject({
  attachSeconds: seconds.default(1),
  detachSeconds: seconds.default(1),
  subnetUpdateSeconds: seconds.default(1),
  addressesPerVnic: z.int().min(1).max(64).default(64),
})

const set = z.strictObject({
  name: setName,
  replicas: count.default(1),
  command: z.array(z.string()).min(1).optional(),
  port: z.int().min(1).max(65_535).optional(),
})

export const clusterSettingsSchema: z.ZodType<ClusterSettings> = z.strictObject({
  shape: z.string().default('VM.Standard.E5.Flex'),
  ocpus: z.number().min(1).max(24).default(4),
  podSubnets: z.array(z.string()).min(1).max(5),
  maxPodCount: z.int().min(1).max(1000).default(110),
  services: z.boolean().default(true),
  policy: z.enum(policyEngines, `must be ${policyEngines.join(', ')}`).default('vcn'),
  mesh: z.boolean().default(true),
  elastic: elastic.prefault({}),
  controller: controller.prefault({}),
  cloud: cloud.prefault({}),
  sets: z.array(set).default([]),
})
