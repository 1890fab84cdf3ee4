import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { chainedPluginTypes } from './chained-plugins.ts'

test.each<[what: string, text: string | undefined, expected: readonly string[]]>([
  ['no file', undefined, []],
  ['half a file', '{"plugins":[{"ty', []],
  ['a file without plugins', '{"name":"x"}', []],
  ['ours and others’', '{"plugins":[{"type":"vcn-cni"},{"type":"istio-cni","x":1.0}]}', ['vcn-cni', 'istio-cni']],
])('the plugins of %s', (_what, text, expected) => {
  const directory = mkdtempSync(join(tmpdir(), 'vcn-cni-chained-'))
  try {
    if (text !== undefined) writeFileSync(join(directory, '10-vcn-cni.conflist'), text)
    expect(chainedPluginTypes(directory)).toEqual(expected)
  } finally {
    rmSync(directory, { recursive: true })
  }
})
