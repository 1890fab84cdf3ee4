import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { captureInNetns } from './netns-process.ts'

/** Applies a ruleset in a namespace, in one transaction. Throws with nft's own message. */
export async function applyNft(netns: string, ruleset: string, signal?: AbortSignal): Promise<void> {
  const file = unnamedFile(ruleset)
  try {
    const { exitCode, stderr } = await captureInNetns(netns, ['nft', '-f', '/dev/stdin'], { stdin: file, signal })
    if (exitCode !== 0) throw new Error(`nft refused the ruleset of ${netns}: ${stderr.trim()}`)
  } finally {
    closeSync(file)
  }
}

/** What `nft -j` prints for a listing such as `['list', 'set', 'ip', 'vcn', 'checked']`. */
export async function listNft(netns: string, listing: readonly string[], signal?: AbortSignal): Promise<unknown> {
  const { exitCode, stdout, stderr } = await captureInNetns(netns, ['nft', '-j', ...listing], { signal })
  if (exitCode !== 0) throw new Error(`nft ${listing.join(' ')} failed in ${netns}: ${stderr.trim()}`)
  return JSON.parse(stdout)
}

// nft refuses the socket that Node gives a child as standard input, so it has to be a file; without a name it leaves
// nothing behind, whatever becomes of this process.
function unnamedFile(text: string): number {
  const directory = mkdtempSync(`${tmpdir()}/vcn-lab-`)
  try {
    const file = openSync(`${directory}/ruleset.nft`, 'wx+', 0o600)
    // At a position: the descriptor's own offset stays at the beginning, where nft starts to read.
    writeSync(file, text, 0)
    return file
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}
