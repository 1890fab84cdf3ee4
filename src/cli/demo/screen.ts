import { stripVTControlCharacters, styleText } from 'node:util'

type Style = Parameters<typeof styleText>[0]

/** What the demo prints: headings, sentences, tables, checks. Colours and moving lines only on a terminal. */
export class Screen {
  readonly #out: NodeJS.WriteStream
  /** Lines that the next output replaces. */
  #transient = 0

  constructor(out: NodeJS.WriteStream) {
    this.#out = out
  }

  heading(text: string, sentence: string): void {
    this.line(`\n${this.paint(['bold', 'cyan'], text)}`)
    this.line(this.paint('dim', sentence))
  }

  line(text = ''): void {
    this.#clearTransient()
    this.#out.write(`${text}\n`)
  }

  /** Whether lines can move. */
  get isTerminal(): boolean {
    return this.#out.isTTY
  }

  /** A line that the next one replaces; nothing when the output is not a terminal. */
  progress(text: string): void {
    this.#showTransient([this.paint('dim', `  ${text}`)])
  }

  /** A table that whatever comes next replaces; nothing when the output is not a terminal. */
  liveTable(header: readonly string[], rows: readonly (readonly Cell[])[], footer: string): void {
    this.#showTransient([...this.#layOut(header, rows), this.paint('dim', `  ${footer}`)])
  }

  /** Somebody else has written below what moves: it stays. */
  leaveTransient(): void {
    this.#transient = 0
  }

  check(passed: boolean, text: string): void {
    this.line(`  ${passed ? this.paint('green', '✔') : this.paint(['bold', 'red'], '✘')} ${text}`)
  }

  /** Columns as wide as their widest cell; colours do not count. Indented by two. */
  table(header: readonly string[], rows: readonly (readonly Cell[])[]): void {
    for (const line of this.#layOut(header, rows)) this.line(line)
  }

  paint(style: Style, text: string): string {
    return styleText(style, text, { stream: this.#out })
  }

  #layOut(header: readonly string[], rows: readonly (readonly Cell[])[]): readonly string[] {
    const lines: readonly (readonly Cell[])[] = [header.map((text) => ({ text, style: 'dim' as const })), ...rows]
    const widths = header.map((_, column) => Math.max(...lines.map((line) => textOf(line[column]).length)))
    return lines.map((line) => {
      const cells = line.map((cell, column) => {
        const padding = ' '.repeat((widths[column] ?? 0) - textOf(cell).length)
        const painted = this.#paintCell(cell)
        return typeof cell !== 'string' && cell.align === 'right' ? padding + painted : painted + padding
      })
      return `  ${cells.join('  ')}`.trimEnd()
    })
  }

  #paintCell(cell: Cell): string {
    if (typeof cell === 'string') return cell
    return cell.style === undefined ? cell.text : this.paint(cell.style, cell.text)
  }

  #showTransient(lines: readonly string[]): void {
    if (!this.#out.isTTY) return
    const { columns } = this.#out
    // A line that wraps would be two to take away.
    const fitting = lines.map((line) => {
      const plain = stripVTControlCharacters(line)
      return plain.length < columns ? line : plain.slice(0, columns - 1)
    })
    this.#clearTransient()
    this.#out.write(fitting.join('\n'))
    this.#transient = lines.length
  }

  #clearTransient(): void {
    if (this.#transient > 0) this.#out.write(`\r\u001b[K${'\u001b[1A\u001b[K'.repeat(this.#transient - 1)}`)
    this.#transient = 0
  }
}

export type Cell = string | { readonly text: string; readonly style?: Style; readonly align?: 'right' }

/** A cell that stands at the right edge of its column. */
export function right(text: string, style?: Style): Cell {
  return { text, align: 'right', ...(style !== undefined && { style }) }
}

function textOf(cell: Cell | undefined): string {
  if (cell === undefined) return ''
  return typeof cell === 'string' ? cell : cell.text
}
