import { join } from 'node:path'
import { err, ok, type Result } from '../base/result.ts'
import type { ApiAccess } from './api-access.ts'
import { FreshFile } from './fresh-file.ts'
import { accessFrom } from './secret-access.ts'

/** Where kubelet puts a pod's credentials (Kubernetes documentation, "Accessing the Kubernetes API from a Pod"). */
const serviceAccountDirectory = '/var/run/secrets/kubernetes.io/serviceaccount'

/** The service account of the pod that this process runs in. */
export function inClusterAccess(
  environment: Readonly<Record<string, string | undefined>> = process.env,
  directory = serviceAccountDirectory,
): Result<ApiAccess, string> {
  const host = environment['KUBERNETES_SERVICE_HOST']
  const port = environment['KUBERNETES_SERVICE_PORT']
  if (host === undefined || port === undefined || host === '' || port === '') {
    return err('not in a pod: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set')
  }
  const url = `https://${host.includes(':') ? `[${host}]` : host}:${port}`
  if (!URL.canParse(url)) return err(`KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT make no URL: ${url}`)
  return ok(
    accessFrom(new URL(url), {
      token: new FreshFile(join(directory, 'token')),
      ca: new FreshFile(join(directory, 'ca.crt')),
    }),
  )
}
