/** The versions of the CNI specification we speak, oldest first: the order is what comparisons go by. */
export const supportedVersions = ['0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0'] as const
export type SpecVersion = (typeof supportedVersions)[number]

/** What we answer in when the request does not say. */
export const newestVersion: SpecVersion = '1.1.0'

export function isSupportedVersion(text: string): text is SpecVersion {
  return supportedVersions.some((version) => version === text)
}

export function isAtLeast(version: SpecVersion, minimum: SpecVersion): boolean {
  return supportedVersions.indexOf(version) >= supportedVersions.indexOf(minimum)
}

/** `version: "4"` or `"6"` in every entry of a result's `ips`; removed by 1.0.0, required before. */
export function hasAddressVersion(version: SpecVersion): boolean {
  return !isAtLeast(version, '1.0.0')
}

/** A result's interfaces with mtu, socketPath and pciID; its routes with mtu, advmss, priority, table and scope. */
export function hasLinkDetails(version: SpecVersion): boolean {
  return isAtLeast(version, '1.1.0')
}
