import * as z from 'zod'
import type { Result } from '../base/result.ts'
import { type FieldError, parseWith } from '../base/schema.ts'
import type { AllocationStrategy } from '../ipam/allocator.ts'
import { withoutUndefined } from '../kube/object.ts'
import { absolutePath, type ListenAddress, listenAddress, wholeNumber } from './config-fields.ts'
import { type MeshConfig, meshSchema } from './mesh-config.ts'
import { type PolicyConfig, policySchema } from './policy-config.ts'

/** What an operator may change. Everything has a default but the source of addresses. */
export type AgentConfig = AgentSettings & AddressSourceConfig

/** Where this node's VNICs and addresses are told (docs/configuration.md): one of the two. */
export type AddressSourceConfig =
  /** The standalone source: a file. */
  { readonly vnicsFile: string } | { readonly kubernetes: KubernetesConfig }

/** How the API server is reached, and what else is done with it. */
export type KubernetesConfig = ApiServerConfig & {
  /** This agent translates Services' addresses, in kube-proxy's place. Absent: it does not. */
  readonly services?: ServicesConfig
  readonly policy: PolicyConfig
  /** Pods with a mesh's sidecar have their traffic redirected to it. Absent: they are left alone. */
  readonly mesh?: MeshConfig
}

export interface ServicesConfig {
  /** Where `/healthz` and `/livez` are answered; absent: nowhere. */
  readonly health?: ListenAddress
  readonly metrics?: ListenAddress
  readonly conntrack: ConntrackSettings
}

/** Of the kernel's connection tracking; 0: left as it is. */
export interface ConntrackSettings {
  readonly maxPerCore: number
  /** What `maxPerCore` makes of all cores is at least this. */
  readonly min: number
  readonly tcpEstablishedTimeoutSeconds: number
  readonly tcpCloseWaitTimeoutSeconds: number
}

export type ApiServerConfig =
  | { readonly kind: 'kubeconfig'; readonly path: string }
  /** By the service account of the pod that the agent runs in. */
  | { readonly kind: 'inCluster' }

export interface AgentSettings {
  readonly strategy: AllocationStrategy
  readonly cooldownMs: number
  /** Of the secondary VNICs and of pods. */
  readonly mtuBytes: number
  readonly maxConcurrentRequests: number
  /** How often everything is compared with the kernel, whatever the notifications said. */
  readonly fullCheckIntervalMs: number
  /** Replies to NodePorts and hostPorts leave by the VNIC that has the node's address. */
  readonly nodePortSupport: boolean
  readonly logLevel: LogLevel
}

const logLevels = ['debug', 'info', 'warn', 'error'] as const
export type LogLevel = (typeof logLevels)[number]

/** Where the agent lives on its node: one of each for every agent, given as flags. */
export interface AgentPaths {
  readonly nodeName: string
  readonly stateDirectory: string
  readonly socketPath: string
  readonly cniBinDirectory: string
  readonly cniConfDirectory: string
  /** The compiled native/vcn-cni.c. */
  readonly executable: string
}

const untouched: ConntrackSettings = {
  maxPerCore: 0,
  min: 0,
  tcpEstablishedTimeoutSeconds: 0,
  tcpCloseWaitTimeoutSeconds: 0,
}

// kube-proxy's own defaults (KubeProxyConfiguration, conntrack).
const conntrackSchema: z.ZodType<ConntrackSettings> = z.preprocess(
  (raw) => (raw === false ? untouched : raw),
  z
    .strictObject(
      {
        maxPerCore: wholeNumber(0, 2 ** 24).default(32_768),
        min: wholeNumber(0, 2 ** 30).default(131_072),
        tcpEstablishedTimeoutSeconds: wholeNumber(0, 10_000_000).default(86_400),
        tcpCloseWaitTimeoutSeconds: wholeNumber(0, 10_000_000).default(3600),
      },
      'must be {maxPerCore, min, tcpEstablishedTimeoutSeconds, tcpCloseWaitTimeoutSeconds}, or false to leave all as it is',
    )
    .prefault({}),
)

const servicesSchema = z
  .strictObject(
    {
      enabled: z.boolean('must be true or false').default(false),
      health: listenAddress('health checks', '0.0.0.0', 10_256),
      metrics: listenAddress('metrics', '127.0.0.1', 10_249),
      conntrack: conntrackSchema,
    },
    'must be {enabled: true}',
  )
  .transform(({ enabled, ...config }): ServicesConfig | undefined => (enabled ? withoutUndefined(config) : undefined))

const kubernetesSchema = z
  .strictObject(
    {
      kubeconfig: absolutePath('must be the path of a kubeconfig').optional(),
      inCluster: z.literal(true, 'must be true, or left out').optional(),
      services: servicesSchema.optional(),
      policy: policySchema,
      mesh: meshSchema.optional(),
    },
    'must be {kubeconfig: PATH} or {inCluster: true}',
  )
  .transform(({ kubeconfig, inCluster, services, policy, mesh }, context): KubernetesConfig => {
    const also = { policy, ...withoutUndefined({ services, mesh }) }
    if (kubeconfig !== undefined && inCluster === undefined) return { kind: 'kubeconfig', path: kubeconfig, ...also }
    if (kubeconfig === undefined && inCluster === true) return { kind: 'inCluster', ...also }
    const message = 'must have exactly one of kubeconfig and inCluster'
    context.addIssue({ code: 'custom', message, input: withoutUndefined({ kubeconfig, inCluster }) })
    return z.NEVER
  })

const vnicsFileMeaning = 'must be the path of the file with this node’s VNICs'

const configSchema: z.ZodType<AgentConfig> = z
  .strictObject({
    vnicsFile: absolutePath(vnicsFileMeaning).optional(),
    kubernetes: kubernetesSchema.optional(),
    strategy: z.enum(['spread', 'pack'], 'must be spread or pack').default('spread'),
    cooldownSeconds: wholeNumber(0, 3600).default(30),
    mtuBytes: wholeNumber(1280, 9216).default(9000),
    maxConcurrentRequests: wholeNumber(1, 1024).default(64),
    fullCheckIntervalSeconds: wholeNumber(1, 3600).default(60),
    nodePortSupport: z.boolean('must be true or false').default(true),
    logLevel: z.enum(logLevels, `must be one of ${logLevels.join(', ')}`).default('info'),
  })
  .transform(({ cooldownSeconds, fullCheckIntervalSeconds, vnicsFile, kubernetes, ...rest }, context): AgentConfig => {
    const settings = {
      ...rest,
      cooldownMs: cooldownSeconds * 1000,
      fullCheckIntervalMs: fullCheckIntervalSeconds * 1000,
    }
    if (vnicsFile !== undefined && kubernetes === undefined) return { ...settings, vnicsFile }
    if (vnicsFile === undefined && kubernetes !== undefined) return { ...settings, kubernetes }
    const message =
      vnicsFile === undefined
        ? `is required: ${vnicsFileMeaning}, unless kubernetes says where they are told`
        : 'excludes kubernetes: the VNICs are told by one or the other'
    context.addIssue({ code: 'custom', path: ['vnicsFile'], message, input: vnicsFile })
    return z.NEVER
  })

/** `raw` is the parsed YAML (or JSON) of the configuration file. */
export function parseAgentConfig(raw: unknown): Result<AgentConfig, readonly FieldError[]> {
  return parseWith(configSchema, raw ?? {})
}
