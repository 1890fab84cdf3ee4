import type { JsonObject, JsonValue, KubeObject } from './objects.ts'
import { findByPath, parseJsonPath } from './json-path.ts'
import { isList, isObject, listAt, numberAt, textAt } from './objects.ts'

/** One printed column; `priority` 1 shows it with `-o wide` only. */
export interface Column {
  readonly name: string
  readonly type: 'string' | 'integer' | 'number' | 'boolean' | 'date'
  readonly format: string
  readonly description: string
  readonly priority: number
  readonly read: (object: KubeObject, nowMs: number) => JsonValue
}

export type IncludeObject = 'None' | 'Metadata' | 'Object'

/** meta.k8s.io/v1 Table: what `kubectl get` prints, computed by the server. */
export function renderTable(
  objects: readonly KubeObject[],
  columns: readonly Column[],
  options: { readonly include: IncludeObject; readonly metadata: JsonObject; readonly nowMs: number },
): JsonObject {
  return {
    kind: 'Table',
    apiVersion: 'meta.k8s.io/v1',
    metadata: options.metadata,
    columnDefinitions: columns.map(({ name, type, format, description, priority }) => {
      return { name, type, format, description, priority }
    }),
    rows: objects.map((object) => ({
      cells: columns.map((column) => column.read(object, options.nowMs)),
      ...(options.include === 'None' ? {} : { object: included(object, options.include) }),
    })),
  }
}

function included(object: KubeObject, include: 'Metadata' | 'Object'): JsonObject {
  if (include === 'Object') return object
  return { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata: object.metadata }
}

export function column(
  name: string,
  read: (object: KubeObject, nowMs: number) => JsonValue,
  options: { readonly wide?: boolean; readonly type?: Column['type'] } = {},
): Column {
  const format = name === 'Name' ? 'name' : ''
  return { name, type: options.type ?? 'string', format, description: '', priority: options.wide ? 1 : 0, read }
}

export const nameColumn = column('Name', ({ metadata }) => metadata.name)
export const ageColumn = column('Age', ({ metadata }, nowMs) => age(metadata.creationTimestamp, nowMs))

/** A CRD's additionalPrinterColumns after the name; with none, the age (apiextensions' default). */
export function customColumns(printerColumns: readonly JsonValue[]): readonly Column[] {
  const own = printerColumns.map((definition): Column => {
    const path = parseJsonPath(textAt(definition, 'jsonPath'))
    const type = columnTypes[textAt(definition, 'type')] ?? 'string'
    return {
      name: textAt(definition, 'name'),
      type,
      format: textAt(definition, 'format'),
      description: textAt(definition, 'description'),
      priority: numberAt(definition, 'priority') ?? 0,
      read: (object, nowMs) => (path.ok ? cell(findByPath(object, path.value), type, nowMs) : null),
    }
  })
  return own.length === 0 ? [nameColumn, ageColumn] : [nameColumn, ...own]
}

const columnTypes: Readonly<Record<string, Column['type']>> = {
  string: 'string',
  integer: 'integer',
  number: 'number',
  boolean: 'boolean',
  date: 'date',
}

function cell(found: readonly JsonValue[], type: Column['type'], nowMs: number): JsonValue {
  const [first] = found
  if (first === undefined || first === null) return type === 'date' ? '<unknown>' : null
  if (type === 'date') return age(typeof first === 'string' ? first : undefined, nowMs)
  if (type !== 'string') return typeof first === 'object' ? null : first
  return found.map((value) => (isObject(value) || isList(value) ? JSON.stringify(value) : textAt(value))).join(',')
}

/** A duration as kubectl prints it (k8s.io/apimachinery/pkg/util/duration, HumanDuration). */
export function age(since: string | undefined, nowMs: number): string {
  const startMs = since === undefined ? NaN : Date.parse(since)
  if (Number.isNaN(startMs)) return '<unknown>'
  const seconds = Math.max(0, Math.floor((nowMs - startMs) / 1000))
  if (seconds < 120) return `${seconds}s`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 10) return pair(minutes, 'm', seconds % 60, 's')
  if (minutes < 180) return `${minutes}m`
  const hours = Math.floor(minutes / 60)
  if (hours < 8) return pair(hours, 'h', minutes % 60, 'm')
  if (hours < 48) return `${hours}h`
  const days = Math.floor(hours / 24)
  if (days < 8) return pair(days, 'd', hours % 24, 'h')
  if (days < 730) return `${days}d`
  return pair(Math.floor(days / 365), 'y', days % 365, 'd')
}

function pair(large: number, largeUnit: string, small: number, smallUnit: string): string {
  return small === 0 ? `${large}${largeUnit}` : `${large}${largeUnit}${small}${smallUnit}`
}

export function joined(texts: readonly string[], none = '<none>'): string {
  return texts.length === 0 ? none : texts.join(',')
}

export function conditionOf(object: JsonValue, type: string): JsonValue | undefined {
  return listAt(object, 'status', 'conditions').find((condition) => textAt(condition, 'type') === type)
}
