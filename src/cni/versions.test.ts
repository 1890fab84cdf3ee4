import { describe, expect, it } from 'vitest'
import { hasAddressVersion, hasLinkDetails, isAtLeast, isSupportedVersion } from './versions.ts'

describe('a version of the specification', () => {
  it.each(['', '1.0', '1.1.0 ', 'v1.1.0', '0.2.0', '1.1.1'])('is not %j', (text) => {
    expect(isSupportedVersion(text)).toBe(false)
  })

  it.each([
    ['0.3.0', { addressVersion: true, linkDetails: false }],
    ['0.3.1', { addressVersion: true, linkDetails: false }],
    ['0.4.0', { addressVersion: true, linkDetails: false }],
    ['1.0.0', { addressVersion: false, linkDetails: false }],
    ['1.1.0', { addressVersion: false, linkDetails: true }],
  ] as const)('%s has %j in its results', (version, expected) => {
    expect({ addressVersion: hasAddressVersion(version), linkDetails: hasLinkDetails(version) }).toEqual(expected)
  })

  it('is compared by age', () => {
    expect([isAtLeast('0.4.0', '0.3.1'), isAtLeast('0.4.0', '0.4.0'), isAtLeast('0.4.0', '1.0.0')]).toEqual([
      true,
      true,
      false,
    ])
  })
})
