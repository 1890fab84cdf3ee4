import { execFileSync } from 'node:child_process'
import { join } from 'node:path'

const sources = join(import.meta.dirname, 'native')

/** Compiles native/NAME.c into a directory, as native/build.sh does the plugin. Returns the program's path. */
export function compile(name: string, directory: string): string {
  const program = join(directory, name)
  const flags = ['-std=c11', '-O2', '-static', '-s', '-Wall', '-Wextra', '-Werror']
  const source = join(sources, `${name}.c`)
  execFileSync(compiler(), [...flags, '-o', program, source], { stdio: ['ignore', 'ignore', 'inherit'] })
  return program
}

function compiler(): string {
  try {
    execFileSync('musl-gcc', ['--version'], { stdio: 'ignore' })
    return 'musl-gcc'
  } catch {
    return 'gcc'
  }
}
