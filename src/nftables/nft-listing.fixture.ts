// What `nft`, which knows nothing of the code under test, says about a namespace.
import { execFileSync } from 'node:child_process'

interface Named {
  readonly name: string
}

export function nft(netns: Named, ...words: readonly string[]): string {
  return execFileSync('ip', ['netns', 'exec', netns.name, 'nft', ...words], {
    encoding: 'utf8',
    stdio: 'pipe',
    maxBuffer: 64 * 1024 * 1024,
  })
}

export interface Listing {
  /** nft's own words of a set or map, and its elements as JSON, sorted. */
  readonly sets: Readonly<Record<string, { readonly type: unknown; readonly elements: readonly string[] }>>
  /** Rules in order, as JSON. */
  readonly chains: Readonly<Record<string, { readonly base: unknown; readonly rules: readonly unknown[] }>>
}

/** All of a table, in a form in which equal tables are equal: no handles, nothing that depends on a hash. */
export function listTable(netns: Named, table: string): Listing {
  const sets: Record<string, { type: unknown; elements: readonly string[] }> = {}
  const chains: Record<string, { base: unknown; rules: unknown[] }> = {}
  for (const { kind, body } of objectsOf(nft(netns, '-j', '-n', 'list', 'table', ...table.split(' ')))) {
    const name = String(body['name'])
    if (kind === 'set' || kind === 'map') {
      const { elem = [], handle: _, ...type } = body
      const elements = Array.isArray(elem) ? elem.map((element) => JSON.stringify(element)) : []
      sets[name] = { type, elements: elements.sort() }
    } else if (kind === 'chain') {
      const { handle: _, ...base } = body
      chains[name] = { base, rules: [] }
    } else if (kind === 'rule') chains[String(body['chain'])]?.rules.push(body['expr'])
  }
  return { sets, chains }
}

type Body = Readonly<Record<string, unknown>>

function objectsOf(json: string): readonly { readonly kind: string; readonly body: Body }[] {
  const { nftables } = JSON.parse(json) as { readonly nftables: readonly Readonly<Record<string, Body>>[] }
  return nftables.flatMap((object) => Object.entries(object).map(([kind, body]) => ({ kind, body })))
}
