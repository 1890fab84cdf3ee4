import { newestVersion } from './versions.ts'

/** What a plugin prints on standard output when it fails (SPEC.md 1.1.0, section 5, "Error"). */
export interface CniError {
  readonly code: number
  readonly msg: string
  readonly details?: string
}

export interface CniErrorKind {
  readonly code: number
  readonly meaning: string
  /** What the operator does about it. */
  readonly remedy: string
}

/** 1 to 99 are the specification's, 100 and above are ours. Codes and names are never reused: docs/errors.md lists them. */
export const cniErrorKinds = {
  INCOMPATIBLE_VERSION: {
    code: 1,
    meaning: 'The cniVersion of the configuration is unknown, or older than the command that was asked for.',
    remedy: 'Set cniVersion in the CNI configuration to 0.3.0, 0.3.1, 0.4.0, 1.0.0 or 1.1.0.',
  },
  UNSUPPORTED_FIELD: {
    code: 2,
    meaning: 'The configuration asks for something this plugin cannot do.',
    remedy: 'Remove the named field from the CNI configuration.',
  },
  UNKNOWN_CONTAINER: {
    code: 3,
    meaning: 'The container is not known here; there is nothing to clean up.',
    remedy: 'Nothing, unless the pod is running: then delete the pod, so that it is made anew.',
  },
  INVALID_ENVIRONMENT: {
    code: 4,
    meaning: 'A CNI_ variable is missing or invalid.',
    remedy: 'Correct what calls the plugin (container runtime or script); the message names the variables.',
  },
  IO_FAILURE: {
    code: 5,
    meaning: 'A file or socket of the agent could not be read or written.',
    remedy: "Look at free space, permissions and mounts of the agent's state directory, then at the agent's log.",
  },
  DECODING_FAILURE: {
    code: 6,
    meaning: 'The configuration on standard input is not a JSON object.',
    remedy: "Check the file in the runtime's CNI configuration directory with a JSON parser.",
  },
  INVALID_CONFIG: {
    code: 7,
    meaning: 'A field of the configuration, or an address asked for, is invalid.',
    remedy: 'Correct the named field; the message says what would be valid.',
  },
  TRY_AGAIN_LATER: {
    code: 11,
    meaning: 'The request cannot be served now: the agent is down or starting, or no address is free.',
    remedy:
      'The runtime retries by itself. If it lasts, check by `vcnctl status` that the agent runs on the node and that its VNICs have free addresses; in Kubernetes, `kubectl describe npn` tells why a node gets no more.',
  },
  NOT_AVAILABLE: {
    code: 50,
    meaning: 'STATUS: the node cannot take new pods.',
    remedy: "Check that the agent runs on the node, then the agent's log.",
  },
  LIMITED_CONNECTIVITY: {
    code: 51,
    meaning: 'STATUS: the node cannot take new pods, and running ones may have lost connectivity.',
    remedy: "Look at the node's VNICs, routes and rules, then at the agent's log.",
  },
  INTERFACE_EXISTS: {
    code: 100,
    meaning: "The interface name that was asked for already exists in the pod's network namespace.",
    remedy: 'Give each attachment of a pod an interface name of its own.',
  },
  ADDRESS_UNAVAILABLE: {
    code: 101,
    meaning: 'The address that was asked for is not on this node, or is in use.',
    remedy: "Ask for a free address of one of this node's VNICs, or for none.",
  },
  ATTACHMENT_EXISTS: {
    code: 102,
    meaning: 'ADD for a network, container and interface that is attached already.',
    remedy: 'The runtime has to call DEL before it calls ADD again; deleting the pod makes it do so.',
  },
  CHECK_FAILED: {
    code: 103,
    meaning: 'CHECK found that an interface, address, route, rule or reservation is missing or wrong.',
    remedy: 'If the agent does not repair it within a minute, delete the pod, so that it is made anew.',
  },
  KERNEL_REFUSED: {
    code: 104,
    meaning: 'The kernel refused a change to links, addresses, routes or rules.',
    remedy: "The message carries the kernel's own words; look for other software that manages the same interfaces.",
  },
  INVALID_ANNOTATION: {
    code: 105,
    meaning: 'An annotation of the pod says what cannot be done.',
    remedy:
      'Correct the named annotation where the pod is made (its Deployment, for one); the message says what would be valid.',
  },
  INTERNAL: {
    code: 199,
    meaning: 'A bug in vcn-cni.',
    remedy: "Report it with the agent's log from the time of the request.",
  },
} as const satisfies Readonly<Record<string, CniErrorKind>>

export type CniErrorName = keyof typeof cniErrorKinds

/** `details` defaults to what the operator does about this kind of error: runtimes show both in a pod's events. */
export function cniError(name: CniErrorName, msg: string, details: string = cniErrorKinds[name].remedy): CniError {
  return { code: cniErrorKinds[name].code, msg, details }
}

/**
 * The JSON text for standard output.
 * `version` is the one the configuration asks for (`answerVersion` of request.ts), the newest if it could not be read.
 */
export function renderError(error: CniError, version: string = newestVersion): string {
  const { code, msg, details } = error
  return JSON.stringify({ cniVersion: version, code, msg, ...(details === undefined ? {} : { details }) })
}
