import { createHash } from 'node:crypto'
import type { Result } from '../base/result.ts'
import type { AttachVnic, CreatePrivateIp } from '../oci/core-services.ts'
import type { OciError } from '../oci/oci-error.ts'
import type { NodeHandle } from './node-handle.ts'

/** What a create was decided on. */
export interface TokenGrounds {
  readonly cluster: string
  readonly wish: { readonly attach: AttachVnic } | { readonly privateIp: CreatePrivateIp }
  /** Ids of what was there already: attachments of the instance, private IPs of the VNIC. */
  readonly seen: readonly string[]
  /** Among creates that are alike and made at the same time. */
  readonly index: number
  /** How often the cloud said that a token's resource is gone again. */
  readonly salt: number
}

/**
 * A retry token made from the grounds of a create and nothing else. A controller that died after the call, or lost its
 * answer, sees the same world and asks with the same token: the cloud answers the resource that it has made already.
 * Once that resource shows, the world is another one, and so is the next token.
 */
export function retryToken({ cluster, wish, seen, index, salt }: TokenGrounds): string {
  const grounds = JSON.stringify([cluster, canonical(wish), [...seen].toSorted(), index, salt])
  // 43 characters; the API takes 64.
  return createHash('sha256').update(grounds).digest('base64url')
}

/** Keys in one order: the order in which somebody wrote them must not matter. */
function canonical(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(canonical)
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).filter(([, field]) => field !== undefined)
  return entries.toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([key, field]) => [key, canonical(field)])
}

const mostSalts = 8

/** Creates with the grounds' token, and with the next one when that belongs to something that is gone. */
export async function createWithToken<T>(
  grounds: Omit<TokenGrounds, 'salt'>,
  node: Pick<NodeHandle, 'tokenSalt'>,
  create: (token: string) => Promise<Result<T, OciError>>,
  isGone: (made: T) => boolean,
): Promise<Result<T, OciError>> {
  for (let tries = 1; ; tries++) {
    const made = await create(retryToken({ salt: node.tokenSalt, ...grounds }))
    const isUsedUp = made.ok ? isGone(made.value) : made.error.kind === 'retryTokenUsed'
    if (!isUsedUp || tries >= mostSalts) return made
    node.tokenSalt++
  }
}
