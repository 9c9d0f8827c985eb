/**
 * The text inside a block: bold, italic, code, line breaks, and links and images as text with their address. Pure.
 *
 * Nothing here fetches or leads anywhere: an answer could name any address, and a click would tell that address that
 * somebody here asked.
 *
 * @typedef {{ kind: "text", text: string } | { kind: "code", text: string } | { kind: "break" }
 *   | { kind: "strong" | "em", spans: Span[] } | { kind: "address", text: string, address: string }} Span
 */

const ESCAPABLE = "\\`*_{}[]()#+-.!|>~";
/** Past this length a text is shown as it is: no answer needs emphasis inside 50,000 characters without a blank line. */
const MAX_LENGTH = 50_000;
const LINK = /!?\[([^[\]\n]{0,500})\]\(<?([^\s()<>]{1,2000})>?(?:\s+"[^"\n]{0,500}")?\)/y;
const WORD = /[\p{L}\p{N}]/u;

/**
 * @param {string} text
 * @returns {Span[]}
 */
export function spansOf(text) {
  if (text.length > MAX_LENGTH) return [{ kind: "text", text }];
  return new Reader(text).read(0, text.length);
}

class Reader {
  /** @param {string} text */
  constructor(text) {
    this.text = text;
    /** Delimiters that have no closing twin from the key's place to the end: looked for once. */
    this.lonely = new Set();
  }

  /**
   * @param {number} from
   * @param {number} to
   * @returns {Span[]}
   */
  read(from, to) {
    /** @type {Span[]} */
    const spans = [];
    let plain = "";
    let at = from;
    while (at < to) {
      const found = this.spanAt(at, to);
      if (found === null) {
        plain += this.text[at];
        at += 1;
        continue;
      }
      if (plain !== "") spans.push({ kind: "text", text: plain });
      plain = "";
      spans.push(found.span);
      at = found.end;
    }
    if (plain !== "") spans.push({ kind: "text", text: plain });
    return spans;
  }

  /**
   * @param {number} at
   * @param {number} to
   * @returns {{ span: Span, end: number } | null}
   */
  spanAt(at, to) {
    const character = this.text[at];
    if (character === "\n") return { span: { kind: "break" }, end: at + 1 };
    if (character === "\\" && at + 1 < to && ESCAPABLE.includes(this.text[at + 1])) {
      return { span: { kind: "text", text: this.text[at + 1] }, end: at + 2 };
    }
    if (character === "`") return this.codeAt(at, to);
    if (character === "*" || character === "_") return this.emphasisAt(at, to);
    if (character === "[" || character === "!") return this.linkAt(at, to);
    return null;
  }

  /**
   * @param {number} at
   * @param {number} to
   * @returns {{ span: Span, end: number } | null}
   */
  codeAt(at, to) {
    let width = 1;
    while (this.text[at + width] === "`") width += 1;
    const ticks = "`".repeat(width);
    const end = this.find(ticks, at + width, to, () => true);
    if (end < 0) return { span: { kind: "text", text: ticks }, end: at + width };
    return { span: { kind: "code", text: this.text.slice(at + width, end).trim() }, end: end + width };
  }

  /**
   * Emphasis opens before a character that is no space and closes after one; `_` opens and closes at word edges only,
   * so that `snake_case_names` stay whole.
   *
   * @param {number} at
   * @param {number} to
   * @returns {{ span: Span, end: number } | null}
   */
  emphasisAt(at, to) {
    const mark = this.text[at];
    const delimiter = this.text[at + 1] === mark ? mark + mark : mark;
    const inner = at + delimiter.length;
    const opens = inner < to && !/\s/.test(this.text[inner]);
    if (!opens || (mark === "_" && at > 0 && WORD.test(this.text[at - 1]))) return null;
    const end = this.find(delimiter, inner + 1, to, (place) => this.closes(place, delimiter));
    if (end < 0) return delimiter.length === 2 ? { span: { kind: "text", text: delimiter }, end: inner } : null;
    const kind = delimiter.length === 2 ? "strong" : "em";
    return { span: { kind, spans: this.read(inner, end) }, end: end + delimiter.length };
  }

  /**
   * @param {number} place
   * @param {string} delimiter
   */
  closes(place, delimiter) {
    const mark = delimiter[0];
    const after = this.text[place + delimiter.length] ?? " ";
    if (/\s/.test(this.text[place - 1])) return false;
    if (mark === "_" && WORD.test(after)) return false;
    return delimiter.length === 2 || (after !== mark && this.text[place - 1] !== mark);
  }

  /**
   * The place of `delimiter` at or after `from`, or -1. A search that fails is not made again for the same delimiter.
   *
   * @param {string} delimiter
   * @param {number} from
   * @param {number} to
   * @param {(place: number) => boolean} fits
   */
  find(delimiter, from, to, fits) {
    const key = `${delimiter}:${to}`;
    if (this.lonely.has(key)) return -1;
    let place = this.text.indexOf(delimiter, from);
    while (place >= 0 && place + delimiter.length <= to && !fits(place)) place = this.text.indexOf(delimiter, place + 1);
    if (place >= 0 && place + delimiter.length <= to) return place;
    this.lonely.add(key);
    return -1;
  }

  /**
   * @param {number} at
   * @param {number} to
   * @returns {{ span: Span, end: number } | null}
   */
  linkAt(at, to) {
    LINK.lastIndex = at;
    const link = LINK.exec(this.text);
    if (link === null || LINK.lastIndex > to) return null;
    return { span: { kind: "address", text: link[1], address: link[2] }, end: LINK.lastIndex };
  }
}
