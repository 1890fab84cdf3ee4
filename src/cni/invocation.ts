/** What the runtime gave the executable: the name it was called by, its CNI_ variables, its whole standard input. */
export interface Invocation {
  readonly program: string
  readonly env: ReadonlyMap<string, string>
  readonly stdin: Buffer
}
