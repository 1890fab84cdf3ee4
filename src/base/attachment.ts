/** What the CNI specification identifies an attachment by (SPEC.md 1.1.0, "Section 2: parameters"). */
export interface AttachmentKey {
  /** `name` of the network configuration. */
  readonly network: string
  readonly containerId: string
  readonly ifname: string
}

/** The pod a sandbox belongs to, as container runtimes tell it in CNI_ARGS. */
export interface PodIdentity {
  readonly namespace: string
  readonly name: string
  readonly uid?: string
}

/** Unique text of a key, for maps and logs. None of the three parts may contain a slash. */
export function formatAttachmentKey(key: AttachmentKey): string {
  return `${key.network}/${key.containerId}/${key.ifname}`
}
