import * as z from 'zod'
import { type Ipv4, parseIpv4 } from '../base/ip.ts'
import { err, ok, type Result } from '../base/result.ts'
import { viaParser } from '../base/schema.ts'
import { type CniError, cniError } from './errors.ts'
import { type JsonObject, parseFields } from './netconf.ts'

const ipsSchema = z.object({ ips: z.array(z.string().transform(viaParser(parseRequested))).default([]) })

/** CONVENTIONS.md of containernetworking/cni: the capability `ips`, and `args` under the key `cni`. */
const requestSchema = z.object({
  runtimeConfig: ipsSchema.exactOptional(),
  args: z.object({ cni: ipsSchema.exactOptional() }).exactOptional(),
})

/**
 * The address the pod is to get, if anyone asked for one: in CNI_ARGS (`IP=`), `runtimeConfig.ips` or `args.cni.ips`.
 * The same address may be asked for in several places, with or without a prefix length; different ones are an error.
 */
export function parseRequestedIp(
  args: ReadonlyMap<string, string>,
  config: JsonObject,
): Result<Ipv4 | undefined, CniError> {
  const inConfig = parseFields(requestSchema, config)
  if (!inConfig.ok) return inConfig
  const asked = new Set([...(inConfig.value.runtimeConfig?.ips ?? []), ...(inConfig.value.args?.cni?.ips ?? [])])
  const text = args.get('IP') ?? ''
  if (text !== '') {
    const parsed = parseRequested(text)
    if (!parsed.ok) return err(cniError('INVALID_CONFIG', `CNI_ARGS IP: ${parsed.error}`))
    asked.add(parsed.value)
  }
  const [first, ...others] = asked
  if (others.length === 0) return ok(first)
  const shown = [...asked].join(', ')
  return err(
    cniError('INVALID_CONFIG', `CNI_ARGS IP, runtimeConfig.ips, args.cni.ips: one address at most, not ${shown}`),
  )
}

function parseRequested(text: string): Result<Ipv4, string> {
  const [address = '', length, ...rest] = text.split('/')
  const parsed = parseIpv4(address)
  const lengthIsValid = length === undefined || (/^\d{1,2}$/.test(length) && Number(length) <= 32)
  if (parsed.ok && lengthIsValid && rest.length === 0) return parsed
  return err(`${JSON.stringify(text)} is not an IPv4 address, such as 10.0.4.7 or 10.0.4.7/24`)
}
