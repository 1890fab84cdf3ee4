/** A failure the user can do something about: printed as one line, without a stack. */
export class CliError extends Error {
  override readonly name = 'CliError'
}
