import {
  type AuthenticationDetailsProvider,
  ConfigFileAuthenticationDetailsProvider,
  InstancePrincipalsAuthenticationDetailsProviderBuilder,
  SimpleAuthenticationDetailsProvider,
} from 'oci-common'
import { err, ok, type Result } from '../base/result.ts'

/** Who we are to the API. */
export type OciAuthentication =
  /** The instance the controller runs on, through a dynamic group. */
  | { readonly kind: 'instancePrincipal' }
  /** `~/.oci/config` when `path` is absent; profile DEFAULT when `profile` is. */
  | { readonly kind: 'configFile'; readonly path?: string; readonly profile?: string }
  | ({ readonly kind: 'key' } & ApiKey)

export interface ApiKey {
  readonly tenancyId: string
  readonly userId: string
  readonly fingerprint: string
  /** PEM. */
  readonly privateKey: string
}

/** The SDK's provider; the error is a sentence for whoever configures it. Never contains the key. */
export async function authenticate(
  authentication: OciAuthentication,
): Promise<Result<AuthenticationDetailsProvider, string>> {
  try {
    switch (authentication.kind) {
      case 'instancePrincipal':
        return ok(await new InstancePrincipalsAuthenticationDetailsProviderBuilder().build())
      case 'configFile':
        return ok(new ConfigFileAuthenticationDetailsProvider(authentication.path, authentication.profile))
      case 'key': {
        const { tenancyId, userId, fingerprint, privateKey } = authentication
        return ok(new SimpleAuthenticationDetailsProvider(tenancyId, userId, fingerprint, privateKey, null))
      }
    }
  } catch (error) {
    // The SDK throws strings in some places.
    const reason = error instanceof Error ? error.message : String(error)
    return err(`authentication ${authentication.kind}: ${reason}`)
  }
}
