import type { Cidr } from '../base/cidr.ts'
import { err, ok, type Result } from '../base/result.ts'
import type { MeshPod } from '../kube/mesh-pod.ts'
import { parseSourceRange } from '../kube/service-address.ts'
import { disjointPorts, parsePortRange } from './port-ranges.ts'
import { quotedValue, shortenedValue } from './quoted-value.ts'
import type { BlockList, PortList, PortRange } from './redirection.ts'

export interface AnnotationProblem {
  /** Its key. */
  readonly annotation: string
  /** As it stands on the pod, shortened when it is long; empty when it is missing. */
  readonly value: string
  /** What is wrong with it and what would be valid. */
  readonly problem: string
}

/** Linux keeps names of interfaces in 16 bytes; what nft could misread is no name of one either. */
const interfacePattern = /^[A-Za-z0-9_.@-]{1,15}$/
const maximumId = 0xffff_fffe

/** Reads a pod's annotations one by one; what is wrong is noted in `problems`, and reads as if it were absent. */
export class AnnotationReader {
  readonly problems: AnnotationProblem[] = []
  readonly #annotations: Readonly<Record<string, string>>

  constructor(pod: MeshPod) {
    this.#annotations = pod.metadata.annotations
  }

  has(annotation: string): boolean {
    return Object.hasOwn(this.#annotations, annotation)
  }

  ports(annotation: string): readonly PortRange[] | undefined {
    const ranges = this.#list(annotation, parsePortRange, '80,8000-8010')
    return ranges === undefined ? undefined : disjointPorts(ranges)
  }

  /** `*` is all of them. */
  portList(annotation: string): PortList | undefined {
    return this.#isAll(annotation) ? 'all' : this.ports(annotation)
  }

  blocks(annotation: string): readonly Cidr[] | undefined {
    return this.#list(annotation, parseBlock, '10.0.0.0/8,fd00::/8')
  }

  /** `*` is all of them. */
  blockList(annotation: string): BlockList | undefined {
    return this.#isAll(annotation) ? 'all' : this.blocks(annotation)
  }

  interfaces(annotation: string): readonly string[] | undefined {
    return this.#list(
      annotation,
      (text) => problemUnless(interfacePattern.test(text), text, text, 'the name of an interface'),
      'eth1,net1',
    )
  }

  port(annotation: string): number | undefined {
    return this.#one(annotation, (text) => {
      const range = parsePortRange(text)
      const port = range.ok && range.value.from === range.value.to ? range.value.from : undefined
      return problemUnless(port !== undefined, text, port ?? 0, 'a port from 1 to 65535')
    })
  }

  id(annotation: string): number | undefined {
    return this.#one(annotation, parseId)
  }

  ids(annotation: string): readonly number[] | undefined {
    return this.#list(annotation, parseId, '1337,1338')
  }

  oneOf<const T extends string>(annotation: string, choices: readonly T[]): T | undefined {
    return this.#one(annotation, (text) => {
      const choice = choices.find((one) => one === text)
      return choice === undefined ? err(`${quotedValue(text)} is none of ${choices.join(', ')}`) : ok(choice)
    })
  }

  report(annotation: string, problem: string): void {
    this.problems.push({ annotation, value: shortenedValue(this.#annotations[annotation] ?? ''), problem })
  }

  #isAll(annotation: string): boolean {
    return this.#annotations[annotation]?.trim() === '*'
  }

  #one<T>(annotation: string, parse: (text: string) => Result<T, string>): T | undefined {
    const text = this.#annotations[annotation]
    if (text === undefined) return undefined
    const parsed = parse(text.trim())
    if (parsed.ok) return parsed.value
    this.report(annotation, parsed.error)
    return undefined
  }

  /** Of a list with commas; an empty value is an empty list. */
  #list<T>(annotation: string, parse: (text: string) => Result<T, string>, example: string): readonly T[] | undefined {
    const text = this.#annotations[annotation]
    if (text === undefined) return undefined
    if (text.trim() === '') return []
    const values: T[] = []
    for (const part of text.split(',')) {
      const parsed = parse(part.trim())
      if (parsed.ok) values.push(parsed.value)
      else {
        this.report(annotation, `${parsed.error}; valid is a list such as ${example}`)
        return undefined
      }
    }
    return values
  }
}

/** The name of the pod, the annotation, its value, what is wrong and what would be valid, in one line. */
export function formatAnnotationProblem(pod: MeshPod, { annotation, value, problem }: AnnotationProblem): string {
  const { namespace, name } = pod.metadata
  return `pod ${namespace}/${name}: annotation ${annotation}: ${JSON.stringify(value)}: ${problem}`
}

/** A block of either family, its host bits cleared as Go's net.ParseCIDR does; an address alone is a block of one. */
function parseBlock(text: string): Result<Cidr, string> {
  const block = parseSourceRange(text.includes('/') ? text : `${text}/${text.includes(':') ? 128 : 32}`)
  return block.ok ? block : err(`${quotedValue(text)} is no block of addresses`)
}

function parseId(text: string): Result<number, string> {
  const isId = /^\d{1,10}$/.test(text) && Number(text) <= maximumId
  return problemUnless(isId, text, Number(text), `a number from 0 to ${maximumId}`)
}

function problemUnless<T>(isRight: boolean, text: string, value: T, valid: string): Result<T, string> {
  return isRight ? ok(value) : err(`${quotedValue(text)} is not ${valid}`)
}
