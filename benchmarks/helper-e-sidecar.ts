import { sidecarCommand } from '../src/cli/lab/sidecar-command.ts'
await sidecarCommand().parseAsync(process.argv.slice(2), { from: 'user' })
