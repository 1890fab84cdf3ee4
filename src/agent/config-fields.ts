import { isIP } from 'node:net'
import * as z from 'zod'

// What fields of agent.yaml look like that several parts of it have.

export interface ListenAddress {
  readonly address: string
  readonly port: number
}

/** `from` and `to` are included. */
export const wholeNumber = (from: number, to: number): z.ZodNumber =>
  z
    .number(`must be a whole number from ${from} to ${to}`)
    .int(`must be a whole number from ${from} to ${to}`)
    .min(from, `must be at least ${from}`)
    .max(to, `must be at most ${to}`)

export const absolutePath = (what: string): z.ZodString => z.string(what).startsWith('/', 'must be absolute')

/** `false`, or port 0: nobody listens. */
export function listenAddress(what: string, address: string, port: number): z.ZodType<ListenAddress | undefined> {
  const whole = z.strictObject(
    {
      address: z.string('must be an IP address').refine(isIP, 'must be an IP address of this node').default(address),
      port: wholeNumber(0, 65_535).default(port),
    },
    `must be {address: ${address}, port: ${port}}, or false for no ${what}`,
  )
  return z
    .preprocess((raw) => (raw === false ? { port: 0 } : raw), whole.prefault({}))
    .transform((listen) => (listen.port === 0 ? undefined : listen))
}
