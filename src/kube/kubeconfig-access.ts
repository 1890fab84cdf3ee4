import { readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { parse } from 'yaml'
import * as z from 'zod'
import { err, ok, type Result } from '../base/result.ts'
import { formatFieldErrors, parseWith } from '../base/schema.ts'
import type { ApiAccess } from './api-access.ts'
import { FreshFile } from './fresh-file.ts'
import { messageOf } from './http-transport.ts'
import { accessFrom, type Secret, type Secrets } from './secret-access.ts'

// What a node's agent needs of kubeconfigs, without client-node's 130 MB: the agent must stay small on every node.

/** A kubeconfig file's current context: certificates, keys and tokens, inline or in files. No exec plugins. */
export function kubeconfigFileAccess(path: string): Result<ApiAccess, string> {
  const name = `kubeconfig ${path}`
  const raw = readYaml(path)
  if (!raw.ok) return err(`${name} could not be read: ${raw.error}`)
  const parsed = parseWith(kubeconfig, raw.value)
  if (!parsed.ok) return err(`${name}: ${formatFieldErrors(parsed.error)}`)
  const access = fromKubeconfig(parsed.value, dirname(path))
  return access.ok ? access : err(`${name}: ${access.error}`)
}

const text = z
  .string()
  .nullish()
  .transform((value) => (value === '' ? undefined : (value ?? undefined)))
const unusable = z.unknown().optional()

const cluster = z.object({
  server: z.string('must be the URL of the API server'),
  'certificate-authority': text,
  'certificate-authority-data': text,
  'insecure-skip-tls-verify': z.boolean().nullish(),
  'tls-server-name': text,
  'proxy-url': text,
})
const user = z.object({
  token: text,
  tokenFile: text,
  'client-certificate': text,
  'client-certificate-data': text,
  'client-key': text,
  'client-key-data': text,
  username: text,
  exec: unusable,
  'auth-provider': unusable,
})
type Cluster = z.infer<typeof cluster>
type User = z.infer<typeof user>

// Only what the current context names has to be right: other contexts may use what the agent cannot.
const kubeconfig = z.object({
  'current-context': z.string('must name a context').min(1, 'must name a context'),
  contexts: z.array(z.object({ name: z.string(), context: z.object({ cluster: z.string(), user: z.string() }) })),
  clusters: z.array(z.object({ name: z.string(), cluster: z.unknown() })),
  users: z.array(z.object({ name: z.string(), user: z.unknown() })),
})

function fromKubeconfig(config: z.infer<typeof kubeconfig>, directory: string): Result<ApiAccess, string> {
  const current = config['current-context']
  const context = config.contexts.find(({ name }) => name === current)?.context
  const rawCluster = config.clusters.find(({ name }) => name === context?.cluster)?.cluster
  const rawUser = config.users.find(({ name }) => name === context?.user)?.user
  if (context === undefined || rawCluster === undefined) {
    return err(`the current context, ${JSON.stringify(current)}, names no cluster`)
  }
  if (rawUser === undefined) return err(`the current context, ${JSON.stringify(current)}, names no user`)
  const parsedCluster = parseWith(cluster, rawCluster)
  if (!parsedCluster.ok) return err(`cluster ${context.cluster}: ${formatFieldErrors(parsedCluster.error)}`)
  const parsedUser = parseWith(user, rawUser)
  if (!parsedUser.ok) return err(`user ${context.user}: ${formatFieldErrors(parsedUser.error)}`)
  const problem = findUnusable(parsedCluster.value, parsedUser.value)
  if (problem !== undefined) return err(problem)
  const { server } = parsedCluster.value
  return ok(accessFrom(new URL(server), secretsOf(parsedCluster.value, parsedUser.value, directory)))
}

function findUnusable(chosen: Cluster, who: User): string | undefined {
  const { server } = chosen
  if (!URL.canParse(server)) return `server ${JSON.stringify(server)} is not a URL`
  const { protocol } = new URL(server)
  if (protocol !== 'https:' && protocol !== 'http:') return `server ${server} is neither https nor http`
  if (protocol === 'http:' && chosen['insecure-skip-tls-verify'] !== true) {
    return `server ${server} is plain http; set insecure-skip-tls-verify: true`
  }
  const takes = 'the agent takes a token or a client certificate, inline or in files'
  if (who.exec !== undefined && who.exec !== null) return `users with an exec plugin are not supported: ${takes}`
  if (who['auth-provider'] !== undefined && who['auth-provider'] !== null) {
    return `users with an auth-provider are not supported: ${takes}`
  }
  if (who.username !== undefined) return `users with a user name and a password are not supported: ${takes}`
  if (chosen['proxy-url'] !== undefined) return 'proxy-url is not supported: the agent reaches the API server directly'
  return undefined
}

function secretsOf(chosen: Cluster, who: User, directory: string): Secrets {
  const ca = secret(chosen['certificate-authority-data'], chosen['certificate-authority'], directory)
  const cert = secret(who['client-certificate-data'], who['client-certificate'], directory)
  const key = secret(who['client-key-data'], who['client-key'], directory)
  // A token in a file goes before an inline one, as in client-go (rest.Config, BearerTokenFile).
  const token = who.tokenFile === undefined ? who.token : new FreshFile(resolve(directory, who.tokenFile))
  const servername = chosen['tls-server-name']
  return {
    ...(ca !== undefined && { ca }),
    ...(cert !== undefined && { cert }),
    ...(key !== undefined && { key }),
    ...(token !== undefined && { token }),
    ...(servername !== undefined && { servername }),
    ...(chosen['insecure-skip-tls-verify'] === true && { rejectUnauthorized: false }),
  }
}

/** Inline data goes before a file; relative paths start at the kubeconfig. */
function secret(base64: string | undefined, path: string | undefined, directory: string): Secret | undefined {
  if (base64 !== undefined) return Buffer.from(base64, 'base64').toString('utf8')
  return path === undefined ? undefined : new FreshFile(resolve(directory, path))
}

function readYaml(path: string): Result<unknown, string> {
  try {
    const raw: unknown = parse(readFileSync(path, 'utf8'))
    return ok(raw)
  } catch (error) {
    return err(messageOf(error))
  }
}
