/**
 * The subset of Markdown that answers may use, as plain data. Pure, total (every text parses), and linear in practice:
 * a model can write anything, so nesting is capped and no search runs twice over the same text.
 *
 * Headings, paragraphs, lists, quotes, fenced code, rules and tables. HTML is text like any other. What an answer's
 * images and links would fetch is never fetched: `spans.js` makes them text with the address beside it.
 *
 * @typedef {{ kind: "paragraph", text: string } | { kind: "heading", level: number, text: string }
 *   | { kind: "code", language: string, text: string } | { kind: "quote", blocks: Block[] }
 *   | { kind: "list", ordered: boolean, start: number, items: Block[][] } | { kind: "rule" }
 *   | { kind: "table", head: string[], rows: string[][] }} Content
 * @typedef {Content & { raw: string }} Block `raw` is the source: equal sources need no new elements
 */

const MAX_DEPTH = 5;
const FENCE = /^ {0,3}(`{3,}|~{3,})\s*([^\s`]*)[^`]*$/;
const HEADING = /^ {0,3}(#{1,6})\s+(.*?)\s*#*$/;
const RULE = /^ {0,3}([-*_])( *\1){2,}\s*$/;
const ITEM = /^( {0,3})([-*+]|\d{1,9}[.)])( +|$)(.*)$/;
const QUOTE = /^ {0,3}> ?/;
const TABLE_RULE = /^ {0,3}\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*$/;

/**
 * @param {string} text
 * @returns {Block[]}
 */
export function parse(text) {
  return blocksOf(text.replace(/\r\n?/g, "\n").replace(/\t/g, "    ").split("\n"), 0);
}

/**
 * @param {string[]} lines
 * @param {number} depth how many lists and quotes are around
 * @returns {Block[]}
 */
function blocksOf(lines, depth) {
  /** @type {Block[]} */
  const blocks = [];
  let at = 0;
  while (at < lines.length) {
    if (lines[at].trim() === "") {
      at += 1;
      continue;
    }
    const { content, end } = blockAt(lines, at, depth);
    blocks.push({ ...content, raw: lines.slice(at, end).join("\n") });
    at = end;
  }
  return blocks;
}

/**
 * @param {string[]} lines
 * @param {number} at a line that is not blank
 * @param {number} depth
 * @returns {{ content: Content, end: number }}
 */
function blockAt(lines, at, depth) {
  const fence = FENCE.exec(lines[at]);
  if (fence) return codeAt(lines, at, fence);
  const heading = HEADING.exec(lines[at]);
  if (heading) return { content: { kind: "heading", level: heading[1].length, text: heading[2] }, end: at + 1 };
  if (RULE.test(lines[at])) return { content: { kind: "rule" }, end: at + 1 };
  if (depth < MAX_DEPTH && QUOTE.test(lines[at])) return quoteAt(lines, at, depth);
  if (depth < MAX_DEPTH && ITEM.test(lines[at])) return listAt(lines, at, depth);
  if (isTable(lines, at)) return tableAt(lines, at);
  return paragraphAt(lines, at, depth);
}

/**
 * @param {string[]} lines
 * @param {number} at
 * @param {RegExpExecArray} fence
 * @returns {{ content: Content, end: number }}
 */
function codeAt(lines, at, fence) {
  let end = at + 1;
  while (end < lines.length && !(lines[end].trim().startsWith(fence[1]) && /^[`~]+$/.test(lines[end].trim()))) end += 1;
  const content = { kind: /** @type {const} */ ("code"), language: fence[2], text: lines.slice(at + 1, end).join("\n") };
  return { content, end: Math.min(end + 1, lines.length) };
}

/**
 * @param {string[]} lines
 * @param {number} at
 * @param {number} depth
 * @returns {{ content: Content, end: number }}
 */
function quoteAt(lines, at, depth) {
  let end = at;
  while (end < lines.length && QUOTE.test(lines[end])) end += 1;
  const inner = lines.slice(at, end).map((line) => line.replace(QUOTE, ""));
  return { content: { kind: "quote", blocks: blocksOf(inner, depth + 1) }, end };
}

/**
 * A list goes on over lines that are indented below its marker, over blank lines between items, and to the next marker
 * of the same sort.
 *
 * @param {string[]} lines
 * @param {number} at
 * @param {number} depth
 * @returns {{ content: Content, end: number }}
 */
function listAt(lines, at, depth) {
  const first = /** @type {RegExpExecArray} */ (ITEM.exec(lines[at]));
  const ordered = /\d/.test(first[2]);
  /** @type {Block[][]} */
  const items = [];
  let end = at;
  while (end < lines.length) {
    const marker = ITEM.exec(lines[end]);
    if (!marker || /\d/.test(marker[2]) !== ordered || RULE.test(lines[end])) break;
    const start = end;
    const indent = marker[1].length + marker[2].length + Math.min(marker[3].length || 1, 4);
    end = itemEnd(lines, start + 1, marker[1].length);
    const inner = lines.slice(start + 1, end).map((line) => line.slice(Math.min(indent, line.length - line.trimStart().length)));
    items.push(blocksOf([marker[4], ...inner], depth + 1));
    while (end < lines.length && lines[end].trim() === "" && ITEM.test(lines[end + 1] ?? "")) end += 1;
  }
  return { content: { kind: "list", ordered, start: ordered ? Number.parseInt(first[2], 10) : 1, items }, end };
}

/**
 * Where an item that began before `at` ends: at the next marker of its own level, or at text that is neither indented
 * nor the paragraph going on.
 *
 * @param {string[]} lines
 * @param {number} at
 * @param {number} level the marker's indentation
 */
function itemEnd(lines, at, level) {
  let end = at;
  while (end < lines.length) {
    const line = lines[end];
    const indented = line.length - line.trimStart().length > level + 1;
    if (line.trim() === "") {
      const next = lines[end + 1] ?? "";
      if (next.trim() === "" || next.length - next.trimStart().length <= level + 1) break;
    } else if (!indented && (ITEM.test(line) || startsBlock(line))) break;
    end += 1;
  }
  return end;
}

/** @param {string} line */
function startsBlock(line) {
  return FENCE.test(line) || HEADING.test(line) || RULE.test(line) || QUOTE.test(line);
}

/**
 * @param {string[]} lines
 * @param {number} at
 */
function isTable(lines, at) {
  const next = lines[at + 1] ?? "";
  return lines[at].includes("|") && next.includes("|") && TABLE_RULE.test(next);
}

/**
 * @param {string[]} lines
 * @param {number} at
 * @returns {{ content: Content, end: number }}
 */
function tableAt(lines, at) {
  const head = cells(lines[at]);
  let end = at + 2;
  while (end < lines.length && lines[end].includes("|")) end += 1;
  const rows = lines.slice(at + 2, end).map((line) => head.map((_, column) => cells(line)[column] ?? ""));
  return { content: { kind: "table", head, rows }, end };
}

/** @param {string} line */
function cells(line) {
  return line.trim().replace(/^\|/, "").replace(/\|$/, "").split("|").map((cell) => cell.trim());
}

/**
 * @param {string[]} lines
 * @param {number} at
 * @param {number} depth
 * @returns {{ content: Content, end: number }}
 */
function paragraphAt(lines, at, depth) {
  let end = at + 1;
  while (end < lines.length && lines[end].trim() !== "" && !startsBlock(lines[end])) {
    if (isTable(lines, end) || (depth < MAX_DEPTH && ITEM.test(lines[end]))) break;
    end += 1;
  }
  return { content: { kind: "paragraph", text: lines.slice(at, end).map((line) => line.trim()).join("\n") }, end };
}
