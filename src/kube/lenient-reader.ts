import * as z from 'zod'
import { type FieldError, parseWith } from '../base/schema.ts'

/**
 * Reads an object field by field: what is wrong is noted in `problems` and left out, and the rest is still of use. For objects
 * whose loss would cost more than their fault: one bad port of a Service must not take its other ports off the network.
 */
export class LenientReader {
  readonly problems: FieldError[] = []

  /** The field's value, or `fallback` when it is wrong. */
  read<T>(schema: z.ZodType<T>, raw: unknown, field: string, fallback: T): T {
    const parsed = parseWith(schema, raw)
    if (parsed.ok) return parsed.value
    for (const error of parsed.error) this.problems.push({ ...error, field: joined(field, error.field) })
    return fallback
  }

  /** The elements that are right, in their order; null and absent are the empty list. */
  readEach<T>(schema: z.ZodType<T>, raw: unknown, field: string): readonly T[] {
    const values: T[] = []
    this.#list(raw, field).forEach((element, index) => {
      const value = this.read<T | undefined>(schema, element, `${field}[${index}]`, undefined)
      if (value !== undefined) values.push(value)
    })
    return values
  }

  /** As readEach, for elements that are read field by field themselves. */
  readEachWith<T>(
    raw: unknown,
    field: string,
    read: (element: unknown, elementField: string) => T | undefined,
  ): readonly T[] {
    return this.#list(raw, field)
      .map((element, index) => read(element, `${field}[${index}]`))
      .filter((value) => value !== undefined)
  }

  report(field: string, problem: string): void {
    this.problems.push({ field, problem })
  }

  #list(raw: unknown, field: string): readonly unknown[] {
    return this.read(anyList, raw ?? [], field, [])
  }
}

const anyList: z.ZodType<readonly unknown[]> = z.array(z.unknown(), 'must be a list')

function joined(parent: string, field: string): string {
  if (field === '') return parent
  return field.startsWith('[') ? `${parent}${field}` : `${parent}.${field}`
}
