import { styleText } from 'node:util'

type Style = Parameters<typeof styleText>[0]

/** What the demo prints: headings, sentences, tables, checks. Colours and moving lines only on a terminal. */
export class Screen {
  readonly #out: NodeJS.WriteStream
  #transient = false

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

  /** A line that the next one replaces; nothing when the output is not a terminal. */
  progress(text: string): void {
    if (!this.#out.isTTY) return
    this.#clearTransient()
    this.#out.write(this.paint('dim', `  ${text}`))
    this.#transient = true
  }

  check(passed: boolean, text: string): void {
    this.line(`  ${passed ? this.paint('green', '✔') : this.paint(['bold', 'red'], '✘')} ${text}`)
  }

  /** Columns as wide as their widest cell; colours do not count. Indented by two. */
  table(header: readonly string[], rows: readonly (readonly Cell[])[]): void {
    const lines: readonly (readonly Cell[])[] = [header.map((text) => ({ text, style: 'dim' as const })), ...rows]
    const widths = header.map((_, column) => Math.max(...lines.map((line) => textOf(line[column]).length)))
    for (const line of lines) {
      const cells = line.map((cell, column) => {
        const padding = ' '.repeat((widths[column] ?? 0) - textOf(cell).length)
        const painted = this.#paintCell(cell)
        return typeof cell !== 'string' && cell.align === 'right' ? padding + painted : painted + padding
      })
      this.line(`  ${cells.join('  ')}`.trimEnd())
    }
  }

  paint(style: Style, text: string): string {
    return styleText(style, text, { stream: this.#out })
  }

  #paintCell(cell: Cell): string {
    if (typeof cell === 'string') return cell
    return cell.style === undefined ? cell.text : this.paint(cell.style, cell.text)
  }

  #clearTransient(): void {
    if (this.#transient) this.#out.write('\r\u001b[K')
    this.#transient = false
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
