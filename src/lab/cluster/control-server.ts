import { rmSync } from 'node:fs'
import net from 'node:net'
import { createInterface } from 'node:readline'
import { formatFieldErrors, parseWith } from '../../base/schema.ts'
import { type ControlAnswer, type ControlRequest, controlRequestSchema } from './control-protocol.ts'

/** Serves requests on a Unix socket that only root opens; what `handle` rejects with is the answer's error. */
export async function serveControl(
  path: string,
  handle: (request: ControlRequest) => Promise<unknown>,
): Promise<AsyncDisposable> {
  const connections = new Set<net.Socket>()
  const server = net.createServer((connection) => {
    connections.add(connection)
    connection.on('close', () => connections.delete(connection))
    connection.on('error', () => connection.destroy())
    createInterface({ input: connection }).on('line', (line) => {
      void answer(line, handle).then((text) => connection.write(`${JSON.stringify(text)}\n`))
    })
  })
  rmSync(path, { force: true })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(path, resolve)
  })
  const close = async (): Promise<void> => {
    for (const connection of connections) connection.destroy()
    await new Promise((resolve) => server.close(resolve))
  }
  return { [Symbol.asyncDispose]: close }
}

async function answer(line: string, handle: (request: ControlRequest) => Promise<unknown>): Promise<ControlAnswer> {
  try {
    const request = parseWith(controlRequestSchema, JSON.parse(line))
    if (!request.ok) return { ok: false, error: formatFieldErrors(request.error) }
    return { ok: true, value: (await handle(request.value)) ?? null }
  } catch (error) {
    return { ok: false, error: error instanceof Error ? error.message : String(error) }
  }
}
