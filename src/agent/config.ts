import * as z from 'zod'
import type { Result } from '../base/result.ts'
import { type FieldError, parseWith } from '../base/schema.ts'
import type { AllocationStrategy } from '../ipam/allocator.ts'

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
}

export interface ServicesConfig {
  readonly enabled: true
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

const wholeNumber = (from: number, to: number): z.ZodNumber =>
  z
    .number(`must be a whole number from ${from} to ${to}`)
    .int(`must be a whole number from ${from} to ${to}`)
    .min(from, `must be at least ${from}`)
    .max(to, `must be at most ${to}`)

const absolutePath = (what: string): z.ZodString => z.string(what).startsWith('/', 'must be absolute')

const kubernetesSchema = z
  .strictObject(
    {
      kubeconfig: absolutePath('must be the path of a kubeconfig').optional(),
      inCluster: z.literal(true, 'must be true, or left out').optional(),
      services: z
        .strictObject({ enabled: z.boolean('must be true or false').default(false) }, 'must be {enabled: true}')
        .optional(),
    },
    'must be {kubeconfig: PATH} or {inCluster: true}',
  )
  .transform(({ kubeconfig, inCluster, services }, context): KubernetesConfig => {
    const also = services?.enabled === true ? { services: { enabled: true } as const } : {}
    if (kubeconfig !== undefined && inCluster === undefined) return { kind: 'kubeconfig', path: kubeconfig, ...also }
    if (kubeconfig === undefined && inCluster === true) return { kind: 'inCluster', ...also }
    const message = 'must have exactly one of kubeconfig and inCluster'
    context.addIssue({ code: 'custom', message, input: context.value })
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
