import * as z from 'zod'
import type { Result } from '../base/result.ts'
import { type FieldError, parseWith } from '../base/schema.ts'
import type { AllocationStrategy } from '../ipam/allocator.ts'

/** What an operator may change. Everything has a default but the source of addresses. */
export interface AgentConfig {
  /** The standalone address source: a file with this node's VNICs (docs/configuration.md). */
  readonly vnicsFile: string
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

const configSchema: z.ZodType<AgentConfig> = z
  .strictObject({
    vnicsFile: z.string('must be the path of the file with this node’s VNICs').startsWith('/', 'must be absolute'),
    strategy: z.enum(['spread', 'pack'], 'must be spread or pack').default('spread'),
    cooldownSeconds: wholeNumber(0, 3600).default(30),
    mtuBytes: wholeNumber(1280, 9216).default(9000),
    maxConcurrentRequests: wholeNumber(1, 1024).default(64),
    fullCheckIntervalSeconds: wholeNumber(1, 3600).default(60),
    logLevel: z.enum(logLevels, `must be one of ${logLevels.join(', ')}`).default('info'),
  })
  .transform(({ cooldownSeconds, fullCheckIntervalSeconds, ...rest }) => ({
    ...rest,
    cooldownMs: cooldownSeconds * 1000,
    fullCheckIntervalMs: fullCheckIntervalSeconds * 1000,
  }))

/** `raw` is the parsed YAML (or JSON) of the configuration file. */
export function parseAgentConfig(raw: unknown): Result<AgentConfig, readonly FieldError[]> {
  return parseWith(configSchema, raw ?? {})
}
