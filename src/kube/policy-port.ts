import * as z from 'zod'
import { portNumber, type ServiceProtocol } from './service-port.ts'

/** Which destination ports a policy's rule is about. Rules about ports are never about ICMP. */
export type PolicyPort =
  /** Both ends included; 0 to 65535 is all of the protocol. */
  | { readonly kind: 'range'; readonly protocol: ServiceProtocol; readonly first: number; readonly last: number }
  /** The destination pod's container port of that name, and of that protocol unless absent. */
  | { readonly kind: 'named'; readonly name: string; readonly protocol?: ServiceProtocol }

export function portRange(protocol: ServiceProtocol, first: number, last: number): PolicyPort {
  return { kind: 'range', protocol, first, last }
}

export function everyPort(protocol: ServiceProtocol): PolicyPort {
  return portRange(protocol, 0, 65_535)
}

const nameSentence =
  'must be the name of a port (up to 15 small letters, digits and hyphens, at least one letter) or a number from 1 to 65535'

/** As IANA_SVC_NAME of apimachinery's validation: digits in quotes are no number. */
export const portName: z.ZodType<string> = z
  .string(nameSentence)
  .regex(/^(?=.*[a-z])(?!.*--)(?!-)[a-z0-9-]{1,15}(?<!-)$/, nameSentence)

export const portNameOrNumber: z.ZodType<string | number> = z.unknown().transform((value, context) => {
  const parsed = typeof value === 'number' ? portNumber.safeParse(value) : portName.safeParse(value)
  if (parsed.success) return parsed.data
  for (const { message } of parsed.error.issues) context.addIssue({ code: 'custom', message, input: value })
  return z.NEVER
})
