import type { Invocation } from './invocation.ts'

/** Variables of a complete request for an attachment, as containerd sets them. */
export const attachmentEnv = {
  CNI_CONTAINERID: '3f6940ab5ab4',
  CNI_NETNS: '/run/netns/cni-1',
  CNI_IFNAME: 'eth0',
  CNI_PATH: '/opt/cni/bin',
}

export const attachmentKey = { network: 'vcn-cni', containerId: '3f6940ab5ab4', ifname: 'eth0' }

/** A configuration as libcni passes it to a plugin; `fields` that are undefined are left out. */
export function configText(fields: Readonly<Record<string, unknown>> = {}): string {
  return JSON.stringify({ cniVersion: '1.1.0', name: 'vcn-cni', type: 'vcn-cni', ...fields })
}

/** Variables that are undefined are not set. */
export function invocationOf(
  env: Readonly<Record<string, string | undefined>>,
  stdin: string | Buffer = configText(),
): Invocation {
  const set = Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined)
  return { program: 'vcn-cni', env: new Map(set), stdin: Buffer.from(stdin) }
}
