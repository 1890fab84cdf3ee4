import { err, ok, type Result } from '../../base/result.ts'
import { isList, isObject, type JsonValue, textAt } from './objects.ts'

type Step =
  | { readonly kind: 'member'; readonly name: string }
  | { readonly kind: 'index'; readonly index: number }
  | { readonly kind: 'every' }
  | { readonly kind: 'filter'; readonly path: readonly string[]; readonly value: string }

export type JsonPath = readonly Step[]

const patterns: readonly { readonly pattern: RegExp; readonly step: (groups: readonly string[]) => Step }[] = [
  { pattern: /^\[\s*(-?\d+)\s*\]/, step: ([index]) => ({ kind: 'index', index: Number(index) }) },
  { pattern: /^(?:\[\s*\*\s*\]|\.\*)/, step: () => ({ kind: 'every' }) },
  { pattern: /^\[\s*['"]([^'"]+)['"]\s*\]/, step: ([name = '']) => ({ kind: 'member', name }) },
  {
    pattern: /^\[\?\(\s*@\.([\w.]+)\s*==\s*['"]?([^'")]*)['"]?\s*\)\]/,
    step: ([path = '', value = '']) => ({ kind: 'filter', path: path.split('.'), value }),
  },
  {
    pattern: /^\.((?:\\.|[^.[\]\\])+)/,
    step: ([name = '']) => ({ kind: 'member', name: name.replaceAll(/\\(.)/g, '$1') }),
  },
]

/** The part of kubectl's JSONPath that printer columns use: members, indexes, `[*]` and `[?(@.type=="Ready")]`. */
export function parseJsonPath(text: string): Result<JsonPath, string> {
  const steps: Step[] = []
  let rest = text
  while (rest !== '') {
    const found = patterns.map(({ pattern, step }) => ({ match: pattern.exec(rest), step })).find(({ match }) => match)
    if (!found?.match) return err(`JSON path ${JSON.stringify(text)} is not understood from ${JSON.stringify(rest)} on`)
    steps.push(found.step(found.match.slice(1)))
    rest = rest.slice(found.match[0].length)
  }
  return ok(steps)
}

export function findByPath(value: JsonValue, path: JsonPath): readonly JsonValue[] {
  let found: readonly JsonValue[] = [value]
  for (const step of path) found = found.flatMap((current) => children(current, step))
  return found
}

function children(value: JsonValue, step: Step): readonly JsonValue[] {
  switch (step.kind) {
    case 'member': {
      const child = isObject(value) && Object.hasOwn(value, step.name) ? value[step.name] : undefined
      return child === undefined ? [] : [child]
    }
    case 'index': {
      const child = isList(value) ? value.at(step.index) : undefined
      return child === undefined ? [] : [child]
    }
    case 'every':
      if (isList(value)) return value
      return isObject(value) ? Object.values(value).filter((child) => child !== undefined) : []
    case 'filter':
      return isList(value) ? value.filter((item) => textAt(item, ...step.path) === step.value) : []
  }
}
