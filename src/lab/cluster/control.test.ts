import { mkdtempSync, rmSync } from 'node:fs'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { createInterface } from 'node:readline'
import { expect, onTestFinished, test } from 'vitest'
import { askCluster } from './control-client.ts'
import type { ControlRequest } from './control-protocol.ts'
import { serveControl } from './control-server.ts'

async function served(handle: (request: ControlRequest) => Promise<unknown>): Promise<string> {
  const directory = mkdtempSync(`${tmpdir()}/control-`)
  const path = `${directory}/socket`
  const server = await serveControl(path, handle)
  onTestFinished(async () => {
    await server[Symbol.asyncDispose]()
    rmSync(directory, { recursive: true })
  })
  return path
}

/** Sends the lines at once and answers with as many. */
async function exchange(path: string, lines: readonly string[]): Promise<readonly unknown[]> {
  const socket = net.connect(path)
  socket.write(lines.map((line) => `${line}\n`).join(''))
  const answers: unknown[] = []
  for await (const line of createInterface({ input: socket })) {
    answers.push(JSON.parse(line))
    if (answers.length === lines.length) break
  }
  socket.destroy()
  return answers
}

test.each([
  ['a line that is not JSON', 'pause', /not valid JSON/],
  ['an unknown method', '{"method":"explode"}', /method/],
  [
    'a fault of no kind',
    '{"method":"faults","rules":[{"when":{"kind":"always"},"fault":{"kind":"x"}}]}',
    /rules\[0\]\.fault/,
  ],
  ['a misspelt field', '{"method":"terminate","node":"a","nodes":1}', /nodes: is not a known field/],
])('%s is refused by what is wrong with it', async (_, line, problem) => {
  const path = await served(() => Promise.reject(new Error('was handled')))
  const [answer] = await exchange(path, [line])
  expect(answer).toEqual({ ok: false, error: expect.stringMatching(problem) as string })
})

test('several requests on one connection are answered each, failures by their message', async () => {
  const path = await served((request) =>
    request.method === 'status' ? Promise.resolve({ pid: 1 }) : Promise.reject(new Error('no such node')),
  )
  const answers = await exchange(path, ['{"method":"status"}', '{"method":"terminate","node":"x"}'])
  expect(answers).toContainEqual({ ok: true, value: { pid: 1 } })
  expect(answers).toContainEqual({ ok: false, error: 'no such node' })
})

test('a lab without a cluster process is an answer, not an exception', async () => {
  const answer = await askCluster('nosuchlab', { method: 'status' }, new AbortController().signal)
  expect(answer).toEqual({ ok: false, error: expect.stringContaining('does not answer') as string })
})
