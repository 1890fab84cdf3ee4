import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

// The agent runs on every node and is to stay below 100 MiB; client-node alone costs 130 MB, Oracle's SDK more.

const lister = `
  import { registerHooks } from 'node:module'
  const urls = []
  registerHooks({
    resolve: (specifier, context, next) => {
      const resolved = next(specifier, context)
      urls.push(resolved.url)
      return resolved
    },
  })
  await import(process.argv[1])
  console.log(urls.join('\\n'))
`

async function graphOf(file: string): Promise<readonly string[]> {
  const entry = new URL(file, import.meta.url).href
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', lister, entry], {
    maxBuffer: 16 * 1024 * 1024,
  })
  return stdout.split('\n')
}

test('the agent loads its own API client, and no large library', async () => {
  const urls = await graphOf('../cli/agent-command.ts')
  expect(urls.some((url) => url.endsWith('/src/kube/http-api-client.ts'))).toBe(true)
  const large =
    /\/node_modules\/(@kubernetes|oci-|fastify|prom-client)|\/src\/(lab|controller|agent\/services)\/|\/src\/kube\/kube-config\.ts/
  expect(urls.filter((url) => large.test(url))).toEqual([])
})
