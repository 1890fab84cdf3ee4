import type { Datatype } from './datatype.ts'
import type { Elements } from './elements.ts'
import type { Statement } from './statement.ts'

/** One table of nf_tables with all that is in it: readonly data, made by planners and compared by `diffTables`. */
export interface Table {
  readonly family: Family
  readonly name: string
  readonly sets: ReadonlyMap<string, NftSet>
  readonly chains: ReadonlyMap<string, Chain>
}

export type Family = 'ip' | 'ip6' | 'inet'

export interface Chain {
  /** Where packets enter; a chain without it is only jumped to. */
  readonly base?: BaseChain
  /** Planners give back the same array for a chain that did not change: it is then not even looked at. */
  readonly rules: readonly Rule[]
}

export interface BaseChain {
  readonly type: 'filter' | 'nat' | 'route'
  readonly hook: 'prerouting' | 'input' | 'forward' | 'output' | 'postrouting'
  /** A number: names such as dstnat are refused on some hooks. Destination NAT is -100, source NAT 100, filter 0. */
  readonly priority: number
  readonly policy: 'accept' | 'drop'
}

export type Rule = readonly Statement[]

export interface LearnedSet {
  readonly timeoutSeconds: number
  /** What was learned holds only as long as the table stays as it is: the writer empties the set with every change. */
  readonly until?: 'change'
}

/** A set, or with `data` a map. */
export interface NftSet {
  readonly key: readonly Datatype[]
  readonly data?: readonly Datatype[] | 'verdict'
  /** Keys are ranges, made by `packRange`, that do not overlap. */
  readonly interval?: boolean
  /** What `inet_service` stands for in a set with a `random` component, which nft can only declare by expressions. */
  readonly ports?: 'tcp' | 'udp' | 'sctp'
  /** How many elements at most (65,535 for a learned one unless told). Lets the kernel choose a hash of fixed size. */
  readonly size?: number
  /**
   * Rules of this table fill it and the kernel forgets its elements after so long without an update: they are the
   * kernel's, `elements` stays empty.
   */
  readonly learned?: LearnedSet
  /** Each element counts the packets whose lookup or update met it. Whoever loads the table anew starts at 0. */
  readonly counted?: boolean
  readonly elements: Elements
}
