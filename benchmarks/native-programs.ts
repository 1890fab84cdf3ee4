import { execFileSync } from 'node:child_process'
import { join } from 'node:path'

const sources = join(import.meta.dirname, 'native')

/** Compiles native/NAME.c into a directory, statically, as the plugin itself is. Returns the program's path. */
export function compile(name: string, directory: string): string {
  const program = join(directory, name)
  const flags = ['-std=c11', '-O2', '-static', '-s', '-Wall', '-Wextra', '-Werror']
  execFileSync('gcc', [...flags, '-o', program, join(sources, `${name}.c`)], { stdio: ['ignore', 'ignore', 'inherit'] })
  return program
}
