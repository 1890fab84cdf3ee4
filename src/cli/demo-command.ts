import { Command } from 'commander'
import { demoScenarioFile } from '../lab/scenario-file.ts'
import { runDemo } from './demo/run-demo.ts'
import { Screen } from './demo/screen.ts'
import { interruptible } from './interrupt.ts'
import { loadScenario, randomSeed } from './lab/build-commands.ts'
import { requireRoot } from './lab/lab-options.ts'

interface DemoFlags {
  readonly scenario: string
  readonly keep: boolean
}

export function demoCommand(): Command {
  return new Command('demo')
    .description(
      'build a cluster, show its pods talking with VCN addresses of their own, its nodes growing and a service being translated, check it, and remove it',
    )
    .option(
      '--scenario <file>',
      'another lab, a cluster or not: two pods on one node and one on another at least',
      demoScenarioFile,
    )
    .option('--keep', 'leave the lab standing', false)
    .action(async ({ scenario: file, keep }: DemoFlags) => {
      requireRoot()
      const scenario = loadScenario(file)
      const seed = scenario.seed ?? randomSeed()
      await interruptible(async (signal) => {
        const passed = await runDemo({ scenario, seed, keep }, new Screen(process.stdout), signal)
        if (!passed) process.exitCode = 1
      })
    })
}
