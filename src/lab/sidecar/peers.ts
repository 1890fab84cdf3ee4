import { readFileSync, renameSync, statSync, writeFileSync } from 'node:fs'
import * as z from 'zod'
import { parseWith } from '../../base/schema.ts'

// What a mesh's control plane would tell: who has a sidecar that speaks mutual TLS. A file, so that a sidecar needs nobody
// at run time.

const fileSchema = z.object({ addresses: z.array(z.string()) })

/** For sidecars that read it meanwhile. */
export function writePeers(path: string, addresses: readonly string[]): void {
  const text = `${JSON.stringify({ addresses })}\n`
  writeFileSync(`${path}.tmp`, text, { mode: 0o644 })
  renameSync(`${path}.tmp`, path)
}

/** Addresses of meshed pods, and of Services that have only such. */
export class Peers {
  readonly #path: string
  #addresses: ReadonlySet<string> = new Set()
  #version = ''

  constructor(path: string) {
    this.#path = path
  }

  has(address: string): boolean {
    this.#read()
    return this.#addresses.has(address)
  }

  /** Asked for with every connection: a look at the file's dates, and what it says when they are others. */
  #read(): void {
    const stat = statSync(this.#path, { throwIfNoEntry: false })
    if (stat === undefined) return
    const version = `${stat.ino} ${stat.mtimeMs}`
    if (version === this.#version) return
    const parsed = parseWith(fileSchema, JSON.parse(readFileSync(this.#path, 'utf8')))
    if (!parsed.ok) throw new Error(`${this.#path} is no list of peers`)
    this.#addresses = new Set(parsed.value.addresses)
    this.#version = version
  }
}
