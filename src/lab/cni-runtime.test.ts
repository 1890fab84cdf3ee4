import { randomBytes } from 'node:crypto'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { createNamedNetns, removeNamedNetns } from '../linux/netns.ts'
import { addAttachment, checkAttachment, deleteAttachment, pluginConfig, type RuntimeNode } from './cni-runtime.ts'

// The plugins here are programs of the test: they write down how they were called.

const { signal } = new AbortController()
const attachment = {
  containerId: 'c1',
  netns: '/run/netns/pod',
  ifname: 'eth0',
  args: 'IgnoreUnknown=1;K8S_POD_NAME=p',
  capabilityArgs: { portMappings: [{ hostPort: 1 }], bandwidth: {} },
}
let directory: string
let node: RuntimeNode

beforeEach(() => {
  directory = mkdtempSync(`${tmpdir()}/cni-runtime-`)
  const netns = `cniruntime-${randomBytes(4).toString('hex')}`
  createNamedNetns(netns)
  node = {
    netns,
    paths: { cniBin: `${directory}/bin`, cniConf: `${directory}/net.d`, results: `${directory}/results` },
  }
  mkdirSync(node.paths.cniBin)
  mkdirSync(node.paths.cniConf)
  plugin('first', 'echo "{\\"cniVersion\\":\\"1.0.0\\",\\"by\\":\\"first\\"}"')
  plugin('second', 'echo "{\\"cniVersion\\":\\"1.0.0\\",\\"by\\":\\"second\\"}"')
  conflist([{ type: 'first' }, { type: 'second', capabilities: { portMappings: true, bandwidth: false } }])
})

afterEach(() => {
  removeNamedNetns(node.netns)
  rmSync(directory, { recursive: true, force: true })
})

it('ADD hands each result to the next plugin, with the capabilities that it declares', async () => {
  expect(await addAttachment(node, attachment, signal)).toEqual({
    ok: true,
    value: { cniVersion: '1.0.0', by: 'second' },
  })
  const [first, second] = calls()
  expect(first).toEqual({
    verb: 'ADD',
    plugin: 'first',
    netns: '/run/netns/pod',
    args: attachment.args,
    path: node.paths.cniBin,
    config: { type: 'first', name: 'net', cniVersion: '1.0.0' },
  })
  expect(second?.config).toEqual({
    type: 'second',
    name: 'net',
    cniVersion: '1.0.0',
    runtimeConfig: { portMappings: [{ hostPort: 1 }] },
    prevResult: { cniVersion: '1.0.0', by: 'first' },
  })
})

it('the plugins run in the node’s namespace', async () => {
  plugin('first', 'echo "{\\"ns\\":\\"$(stat -Lc %i /proc/self/ns/net)\\"}"')
  conflist([{ type: 'first' }])
  const added = await addAttachment(node, attachment, signal)
  expect(added.ok && added.value['ns']).toBe(String(statSync(`/run/netns/${node.netns}`).ino))
})

it('DEL goes backwards with the result of the ADD, also when the configuration has changed since', async () => {
  await addAttachment(node, attachment, signal)
  conflist([{ type: 'third' }])
  expect(await deleteAttachment(node, attachment, signal)).toEqual({ ok: true, value: undefined })
  const deletions = calls().filter(({ verb }) => verb === 'DEL')
  expect(deletions.map(({ plugin: name }) => name)).toEqual(['second', 'first'])
  for (const { config } of deletions) expect(config['prevResult']).toEqual({ cniVersion: '1.0.0', by: 'second' })
  expect(readdirSync(node.paths.results)).toEqual([])
})

it('a DEL without a readable cache is made with the configuration of today and no result', async () => {
  await addAttachment(node, attachment, signal)
  writeFileSync(`${node.paths.results}/c1-eth0.json`, '{')
  expect(await deleteAttachment(node, attachment, signal)).toMatchObject({ ok: true })
  const deletions = calls().filter(({ verb }) => verb === 'DEL')
  expect(deletions).toHaveLength(2)
  for (const { config } of deletions) expect(config).not.toHaveProperty('prevResult')
})

it('a failed ADD is told by the plugin’s own words, and the whole chain is deleted', async () => {
  plugin('second', 'echo "{\\"code\\":11,\\"msg\\":\\"no address\\",\\"details\\":\\"pool empty\\"}"; exit 1', ['ADD'])
  expect(await addAttachment(node, attachment, signal)).toEqual({
    ok: false,
    error: { plugin: 'second', verb: 'ADD', code: 11, message: 'no address', details: 'pool empty' },
  })
  expect(calls().map(({ verb, plugin: name }) => `${verb} ${name}`)).toEqual([
    'ADD first',
    'ADD second',
    'DEL second',
    'DEL first',
  ])
})

it('a plugin that dies without a CNI error is told by its standard error', async () => {
  plugin('first', 'echo "out of luck" >&2; exit 3')
  expect(await addAttachment(node, attachment, signal)).toMatchObject({
    error: { message: 'exit code 3 without a CNI error', details: 'out of luck' },
  })
})

it('CHECK goes forwards with the result of the ADD, and not at all where the list disables it', async () => {
  await addAttachment(node, attachment, signal)
  expect(await checkAttachment(node, attachment, signal)).toMatchObject({ ok: true })
  const checks = calls().filter(({ verb }) => verb === 'CHECK')
  expect(checks.map(({ plugin: name }) => name)).toEqual(['first', 'second'])
  expect(checks[0]?.config['prevResult']).toEqual({ cniVersion: '1.0.0', by: 'second' })

  conflist([{ type: 'first' }], { disableCheck: true })
  const other = { ...attachment, containerId: 'c2' }
  await addAttachment(node, other, signal)
  const before = calls().length
  expect(await checkAttachment(node, other, signal)).toMatchObject({ ok: true })
  expect(calls()).toHaveLength(before)
})

it.each([
  ['no configuration', undefined, 'has no network configuration'],
  ['a configuration that is not JSON', '{', '10-net.conflist: '],
  ['a configuration without plugins', '{"cniVersion":"1.0.0","name":"n","plugins":[]}', '10-net.conflist: plugins'],
])('%s makes the ADD fail before any plugin runs', async (_, text, problem) => {
  rmSync(`${node.paths.cniConf}/10-net.conflist`)
  if (text !== undefined) writeFileSync(`${node.paths.cniConf}/10-net.conflist`, text)
  const added = await addAttachment(node, attachment, signal)
  expect(added.ok ? '' : added.error.message).toContain(problem)
  expect(calls()).toEqual([])
})

it('a plugin’s own fields reach it, its capabilities do not', () => {
  const list = { name: 'n', cniVersion: '1.0.0', disableCheck: false, plugins: [] }
  expect(pluginConfig(list, { type: 't', mtu: 9000, capabilities: { x: true } }, {}, undefined)).toEqual({
    type: 't',
    mtu: 9000,
    name: 'n',
    cniVersion: '1.0.0',
  })
})

interface Call {
  readonly verb: string
  readonly plugin: string
  readonly netns: string
  readonly args: string
  readonly path: string
  readonly config: Readonly<Record<string, unknown>>
}

/** A program that records its call and then, for the verbs named, runs the script. */
function plugin(name: string, script: string, verbs: readonly string[] = ['ADD', 'DEL', 'CHECK']): void {
  const file = `${node.paths.cniBin}/${name}`
  const record = '{"verb":"%s","plugin":"%s","netns":"%s","args":"%s","path":"%s","config":%s}\\n'
  const values = `"$CNI_COMMAND" ${name} "$CNI_NETNS" "$CNI_ARGS" "$CNI_PATH" "$(cat)"`
  const acting = verbs.join('|')
  writeFileSync(
    file,
    `#!/bin/sh\nprintf '${record}' ${values} >> ${directory}/calls\ncase "$CNI_COMMAND" in ${acting}) ${script};; *) echo '{}';; esac\n`,
  )
  chmodSync(file, 0o755)
}

function conflist(plugins: readonly object[], more: object = {}): void {
  const list = { cniVersion: '1.0.0', name: 'net', plugins, ...more }
  writeFileSync(`${node.paths.cniConf}/10-net.conflist`, JSON.stringify(list))
}

function calls(): readonly Call[] {
  if (!existsSync(`${directory}/calls`)) return []
  const lines = readFileSync(`${directory}/calls`, 'utf8').trim().split('\n')
  return lines.map((line) => JSON.parse(line) as Call)
}
