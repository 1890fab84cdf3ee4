import * as z from 'zod'

export const serviceProtocols = ['TCP', 'UDP', 'SCTP'] as const
export type ServiceProtocol = (typeof serviceProtocols)[number]

/** As the kernel's tools call them. */
export type L4 = Lowercase<ServiceProtocol>
export const l4Of: Readonly<Record<ServiceProtocol, L4>> = { TCP: 'tcp', UDP: 'udp', SCTP: 'sctp' }

const sentence = 'must be a whole number from 1 to 65535'
export const portNumber: z.ZodType<number> = z.number(sentence).int(sentence).min(1, sentence).max(65535, sentence)

/** Absent means TCP, in Services and EndpointSlices alike. */
export const protocolOrTcp: z.ZodType<ServiceProtocol> = z
  .enum(serviceProtocols, `must be ${serviceProtocols.join(', ')}`)
  .nullish()
  .transform((protocol) => protocol ?? 'TCP')
