import { readFileSync } from 'node:fs'
import { parse as parseYaml } from 'yaml'
import * as z from 'zod'
import { parseIpv4Cidr } from '../base/cidr.ts'
import { err, ok, type Result } from '../base/result.ts'
import { type FieldError, parseWith, viaParser } from '../base/schema.ts'
import { clusterSettingsSchema } from './cluster-settings.ts'
import { parseNodeName, parsePodName } from './names.ts'
import { checkScenario } from './scenario-check.ts'
import type { PortMapping, Scenario } from './scenario.ts'

/** Private addresses a VNIC can have beside its own (reference/oci.md section 2). */
const mostSecondaryAddresses = 64

const cidr = z.string().transform(viaParser(parseIpv4Cidr))
const subnetName = z.string().regex(/^[a-z0-9][a-z0-9-]*$/, 'must be lower-case letters, digits and inner hyphens')
const port = z.int().min(1).max(65_535)

const vnicSchema = z.strictObject({
  name: z.string().regex(/^[a-z][a-z0-9]{0,9}$/, 'must be an interface name such as ens5, up to 10 characters'),
  subnet: z.string(),
  primary: z.boolean().default(false),
  secondaryAddresses: z.int().min(0).max(mostSecondaryAddresses).default(0),
  skipSourceDestCheck: z.boolean().default(false),
})

const podSchema = z.strictObject({
  name: z.string().transform(viaParser(parsePodName)),
  namespace: z.string().transform(viaParser(parsePodName)).default('default'),
  node: z.string(),
  ports: z
    .array(
      z.strictObject({
        hostPort: port,
        containerPort: port,
        protocol: z.enum(['tcp', 'udp', 'sctp']).default('tcp'),
      }),
    )
    .default([]),
})

const agentSchema = z.strictObject({
  strategy: z.enum(['spread', 'pack']).default('spread'),
  cooldownSeconds: z.number().min(0).default(30),
  mtuBytes: z.int().min(1280).max(9000).default(9000),
})

const scenarioSchema: z.ZodType<Scenario> = z.strictObject({
  seed: z.int().min(0).max(0xffff_ffff).optional(),
  vcn: z.strictObject({ cidr }),
  subnets: z.array(z.strictObject({ name: subnetName, cidr })).min(1),
  nodes: z
    .array(z.strictObject({ name: z.string().transform(viaParser(parseNodeName)), vnics: z.array(vnicSchema).min(1) }))
    .min(1),
  pods: z.array(podSchema).default([]),
  agent: agentSchema.prefault({}),
  cluster: clusterSettingsSchema.optional(),
})

export const clusterScenarioFile = `${import.meta.dirname}/scenarios/cluster.yaml`
export const demoScenarioFile = `${import.meta.dirname}/scenarios/demo.yaml`
export const defaultScenarioFile = `${import.meta.dirname}/scenarios/default.yaml`

export function parseScenario(text: string): Result<Scenario, readonly FieldError[]> {
  let raw: unknown
  try {
    raw = parseYaml(text)
  } catch (error) {
    return err([{ field: '', problem: `not valid YAML: ${error instanceof Error ? error.message : String(error)}` }])
  }
  const parsed = parseWith(scenarioSchema, raw)
  if (!parsed.ok) return parsed
  const problems = checkScenario(parsed.value)
  return problems.length === 0 ? parsed : err(problems)
}

export function readScenario(file: string): Result<Scenario, readonly FieldError[]> {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    return err([{ field: '', problem: `cannot be read: ${error instanceof Error ? error.message : String(error)}` }])
  }
  return parseScenario(text)
}

export function parsePortMapping(text: string): Result<PortMapping, string> {
  const [, hostPort, containerPort, protocol = 'tcp'] = /^(\d+):(\d+)(?:\/(tcp|udp|sctp))?$/.exec(text) ?? []
  const numbers = [Number(hostPort), Number(containerPort)]
  if (!numbers.every((number) => number >= 1 && number <= 65_535)) {
    return err(`${JSON.stringify(text)} is not a port mapping such as 8080:80 or 5353:53/udp`)
  }
  return ok({
    hostPort: Number(hostPort),
    containerPort: Number(containerPort),
    protocol: protocol === 'udp' || protocol === 'sctp' ? protocol : 'tcp',
  })
}
