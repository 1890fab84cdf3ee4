import { Command } from 'commander'
import { defaultScenarioFile } from '../lab/scenario-file.ts'
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
    .description('build a lab, show pods talking with their own VCN addresses, check it, and remove the lab')
    .option('--scenario <file>', 'another lab: two pods on one node and one on another at least', defaultScenarioFile)
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
