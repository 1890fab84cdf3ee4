/** What the API, or the way to it, answered instead of a result. */
export type OciError = OciErrorDetails & OciErrorKind

export interface OciErrorDetails {
  readonly operation: Operation
  /** The API's `code`, such as NotAuthorizedOrNotFound; for failures on the way, the system's, such as ECONNRESET. */
  readonly code: string
  readonly message: string
  /** HTTP status; absent when no answer came. */
  readonly status?: number
  /** What Oracle's support asks for. */
  readonly opcRequestId?: string
}

export type OciErrorKind =
  /** 404, or 400 for what the request's body names: does not exist, or may not be seen: the API does not tell which. */
  | { readonly kind: 'notFound' }
  /** 403. */
  | { readonly kind: 'notAuthorized' }
  /** 401: the key or its principal is unknown or expired. */
  | { readonly kind: 'notAuthenticated' }
  /** 401 for a signature whose date is too far from the server's. */
  | { readonly kind: 'clockSkew' }
  /** 429. */
  | { readonly kind: 'throttled'; readonly retryAfterMs?: number }
  /** 409 Conflict: another change of the same resource is under way, or the wish contradicts its state. */
  | { readonly kind: 'conflict' }
  /** 409 IncorrectState: the resource is between states; later the call may succeed. */
  | { readonly kind: 'incorrectState' }
  /** 409 InvalidatedRetryToken: the token was used for something else, or what it made is gone. */
  | { readonly kind: 'retryTokenUsed' }
  /** 412: somebody else changed the resource since its etag was read. */
  | { readonly kind: 'etagMismatch' }
  /** 400 LimitExceeded: a service limit, the shape's VNICs, a VNIC's addresses, or no room in the subnet. */
  | { readonly kind: 'limitExceeded' }
  /** 400 QuotaExceeded: the compartment's quota. */
  | { readonly kind: 'quotaExceeded' }
  /** Any other 4xx: the request itself is wrong. `parameter` is the API's sentence about what. */
  | { readonly kind: 'invalid'; readonly parameter: string }
  /** 5xx. The call may have taken effect all the same. */
  | { readonly kind: 'server' }
  /** No answer came, or only half of one. The call may have taken effect all the same. */
  | { readonly kind: 'unreachable' }
  /** The answer is not what the API documents. The call may have taken effect all the same. */
  | { readonly kind: 'malformed' }
  /** The time given to the call and its repeats is over; the other fields are those of the last failure. */
  | { readonly kind: 'deadline' }

/** Named as in the API reference; one of them is the key of limits, counters and fault plans. */
export type Operation =
  | 'GetInstance'
  | 'ListInstances'
  | 'ListShapes'
  | 'ListVnicAttachments'
  | 'AttachVnic'
  | 'GetVnicAttachment'
  | 'DetachVnic'
  | 'GetVnic'
  | 'UpdateVnic'
  | 'ListPrivateIps'
  | 'CreatePrivateIp'
  | 'DeletePrivateIp'
  | 'GetSubnet'
  | 'GetVcn'
  | 'GetSubnetCidrUtilization'
  | 'GetNetworkSecurityGroup'
  | 'ListNetworkSecurityGroupVnics'

/** One line for people: what failed, why, and the number to quote to Oracle. */
export function formatOciError(error: OciError): string {
  const status = error.status === undefined ? '' : `${error.status} `
  const request = error.opcRequestId === undefined ? '' : ` (opc-request-id ${error.opcRequestId})`
  const late = error.kind === 'deadline' ? 'ran out of time; last: ' : ''
  return `${error.operation}: ${late}${status}${error.code}: ${error.message}${request}`
}
