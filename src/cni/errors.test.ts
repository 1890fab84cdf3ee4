import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { cniError, cniErrorKinds, renderError } from './errors.ts'

const documentation = new URL('../../docs/errors.md', import.meta.url)

describe('the table of errors', () => {
  it('is what docs/errors.md lists, row by row', () => {
    const documented = readFileSync(documentation, 'utf8')
      .split('\n')
      .filter((line) => /^\| \d/.test(line))
    const expected = Object.entries(cniErrorKinds).map(
      ([name, { code, meaning, remedy }]) => `| ${code} | \`${name}\` | ${meaning} | ${remedy} |`,
    )
    expect(documented).toEqual(expected)
  })

  it('gives every code to one name only', () => {
    const codes = Object.values(cniErrorKinds).map(({ code }) => code)
    expect(codes).toEqual([...new Set(codes)].toSorted((a, b) => a - b))
  })

  it('has the codes of the specification below 100 and no others', () => {
    const reserved = Object.values(cniErrorKinds)
      .map(({ code }) => code)
      .filter((code) => code < 100)
    expect(reserved).toEqual([1, 2, 3, 4, 5, 6, 7, 11, 50, 51])
  })
})

describe('an error', () => {
  it('tells the operator what to do when nothing more particular is known', () => {
    expect(cniError('TRY_AGAIN_LATER', 'no free address in pool default')).toEqual({
      code: 11,
      msg: 'no free address in pool default',
      details: cniErrorKinds.TRY_AGAIN_LATER.remedy,
    })
  })

  it('is rendered in the version that was asked for', () => {
    const error = cniError('KERNEL_REFUSED', 'RTM_NEWLINK: no space left', 'table 1001 is full')
    expect(renderError(error, '0.4.0')).toBe(
      '{"cniVersion":"0.4.0","code":104,"msg":"RTM_NEWLINK: no space left","details":"table 1001 is full"}',
    )
  })

  it('is rendered in the newest version when the request had none, and without details it does not have', () => {
    expect(renderError({ code: 6, msg: 'no JSON' })).toBe('{"cniVersion":"1.1.0","code":6,"msg":"no JSON"}')
  })
})
