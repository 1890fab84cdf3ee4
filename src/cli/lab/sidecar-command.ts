import { once } from 'node:events'
import { Command, Option } from 'commander'
import { writeRecord } from '../../lab/sidecar/connection-log.ts'
import { MeshTls } from '../../lab/sidecar/mesh-tls.ts'
import { Peers } from '../../lab/sidecar/peers.ts'
import { conventions, type SidecarProfile, sidecarProfiles } from '../../lab/sidecar/profile.ts'
import { Sidecar } from '../../lab/sidecar/sidecar.ts'
import { CliError } from '../cli-error.ts'

interface SidecarFlags {
  readonly profile: SidecarProfile
  readonly key?: string
  readonly certificate?: string
  readonly authority?: string
  readonly peers?: string
  readonly strict?: true
}

export function sidecarCommand(): Command {
  return new Command('sidecar')
    .description('a small sidecar: carries redirected connections on, by mutual TLS to other sidecars; runs in a pod')
    .addOption(new Option('--profile <profile>', 'whose ports and user').choices(sidecarProfiles).default('istio'))
    .option('--key <file>', 'of the certificate (PEM); with --certificate, --authority and --peers: mutual TLS')
    .option('--certificate <file>', 'that names this pod')
    .option('--authority <file>', 'whose certificates are trusted')
    .option(
      '--peers <file>',
      'addresses behind which there are sidecars, as {"addresses": […]}; read again when it changes',
    )
    .option('--strict', 'refuse what comes in unencrypted')
    .action(async (flags: SidecarFlags) => {
      const mesh = meshOf(flags)
      if (mesh === undefined && flags.strict === true)
        throw new CliError('--strict needs --key, --certificate, --authority and --peers')
      const options = { profile: flags.profile, log: writeRecord }
      await using _sidecar = await Sidecar.listen(mesh === undefined ? options : { ...options, mesh })
      dropPrivileges(flags.profile)
      await Promise.race([once(process, 'SIGTERM'), once(process, 'SIGINT')])
    })
}

function meshOf({ key, certificate, authority, peers, strict }: SidecarFlags): Mesh | undefined {
  const given = [key, certificate, authority, peers].filter((file) => file !== undefined)
  if (given.length === 0) return undefined
  if (key === undefined || certificate === undefined || authority === undefined || peers === undefined)
    throw new CliError('--key, --certificate, --authority and --peers go together')
  return { tls: new MeshTls({ key, certificate, authority }), peers: new Peers(peers), isStrict: strict === true }
}
type Mesh = NonNullable<Parameters<typeof Sidecar.listen>[0]['mesh']>

/**
 * By its user the redirection knows what is the sidecar's own. Only now: a checkout below /root, and the key, are out of that
 * user's sight.
 */
function dropPrivileges(profile: SidecarProfile): void {
  const { uid, gid } = conventions[profile]
  if (process.getuid?.() !== 0) return
  process.setgroups?.([])
  process.setgid?.(gid)
  process.setuid?.(uid)
}
