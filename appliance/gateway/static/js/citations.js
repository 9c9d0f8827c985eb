/**
 * Where an answer's claims rest: small numbers behind them that open the passage, and words where there is no source.
 *
 * The gateway says what is a claim, in characters of the answer (code points, not JavaScript's units). Behind each, a
 * pair of private characters carries its number through the rendering, and is replaced in the text nodes afterwards; so
 * nothing of this depends on how Markdown is drawn, and nothing of a document is drawn here at all.
 */

import { h } from "./dom.js";
import { t } from "./i18n.js";

const OPEN = "\uE000";
const CLOSE = "\uE001";
const HELD = /\uE000(\d+)\uE001/;
const PRIVATE = /[\0\uE000\uE001]/g;
const MARKER = /(`[^`\n]*`)|\s?\[ ?\d{1,4}(?: ?[,;] ?\d{1,4}){0,15} ?\](?!\()/g;
const FENCE = /^ {0,3}(?:`{3,}|~{3,})/;

/**
 * @typedef {{ number: number, document: string, version: string, first: number, last: number, page?: number | null,
 *   cited?: boolean, gone?: boolean, title?: string, headings?: string[] }} Place
 * @typedef {{ passage: number, how: "quoted" | "worded", first: number, last: number, marked: boolean }} Source
 * @typedef {{ first: number, last: number, support: "quoted" | "worded" | "unsupported", citations: Source[],
 *   doubtful: number[], unknown: number[] }} Claim
 * @typedef {{ outcome: "answered" | "nothing_fits" | "abstained", checked: boolean, passages: Place[],
 *   claims: Claim[] }} Documents
 */

/**
 * The answer with its claims' numbers in place of the markers that the model wrote.
 *
 * @param {string} content
 * @param {Documents} documents
 */
export function withClaims(content, documents) {
  const letters = Array.from(content.replace(PRIVATE, " "));
  const fenced = fencesOf(letters);
  documents.claims.forEach(({ first, last }, number) => {
    if (fenced.some(([from, to]) => first < to && last > from)) return;
    const said = letters.slice(first, last).join("").replace(MARKER, (_, code) => code ?? "");
    const row = /\s*\|\s*$/.exec(said);
    const end = row ? row.index : said.length;
    const held = `${OPEN}${number}${CLOSE}`;
    letters.fill("", first, last);
    letters[first] = said.slice(0, end) + held + said.slice(end);
  });
  return letters.join("");
}

/**
 * Which letters stand in blocks of code.
 *
 * @param {string[]} letters
 * @returns {Array<[number, number]>}
 */
function fencesOf(letters) {
  /** @type {Array<[number, number]>} */
  const found = [];
  let at = 0;
  let begun = -1;
  for (const line of letters.join("\u0000").split("\n")) {
    const length = line.split("\u0000").filter((letter) => letter !== "").length;
    if (FENCE.test(line.replaceAll("\u0000", ""))) {
      if (begun < 0) begun = at;
      else {
        found.push([begun, at + length]);
        begun = -1;
      }
    }
    at += length + 1;
  }
  if (begun >= 0) found.push([begun, letters.length]);
  return found;
}

/**
 * Put the marks where their numbers stand in what was drawn.
 *
 * @param {Element} root
 * @param {Documents} documents
 * @param {(place: Place, source: Source | null) => void} open
 */
export function placeMarks(root, documents, open) {
  const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  /** @type {Text[]} */
  const texts = [];
  while (walker.nextNode()) texts.push(/** @type {Text} */ (walker.currentNode));
  for (const text of texts) {
    let rest = text;
    for (let found = HELD.exec(rest.data); found !== null; found = HELD.exec(rest.data)) {
      const after = rest.splitText(found.index);
      rest = after.splitText(found[0].length);
      const claim = documents.claims[Number(found[1])];
      after.replaceWith(...(claim ? marksOf(claim, documents, open) : []));
    }
  }
}

/**
 * @param {Claim} claim
 * @param {Documents} documents
 * @param {(place: Place, source: Source | null) => void} open
 * @returns {Node[]}
 */
function marksOf(claim, documents, open) {
  const sourced = claim.citations.map((source) => ({ number: source.passage, source }));
  const doubtful = claim.doubtful.map((number) => ({ number, source: null }));
  const marks = [...sourced, ...doubtful].flatMap(({ number, source }) => {
    const place = documents.passages.find((one) => one.number === number);
    return place ? [mark(place, source, open)] : [];
  });
  const strange = claim.unknown.map((number) => h("span", { class: "cite-none" }, t("cite.unknown", { number })));
  const none = claim.support === "unsupported" && strange.length === 0 ? [h("span", { class: "cite-none" }, t("cite.none"))] : [];
  return [...marks, ...strange, ...none].flatMap((element) => [document.createTextNode("\u202f"), element]);
}

/**
 * @param {Place} place
 * @param {Source | null} source null: the model named the passage, and the passage does not carry the claim
 * @param {(place: Place, source: Source | null) => void} open
 */
function mark(place, source, open) {
  const { number } = place;
  const name = place.title ?? "";
  const said = source ? t("cite.open", { number, title: name }) : t("cite.doubtful", { number, title: name });
  const label = { "aria-haspopup": "dialog", "aria-label": said.trim(), title: said.trim() };
  const style = source ? "cite" : "cite cite-doubtful";
  return h("button", { type: "button", class: style, ...label, onclick: () => open(place, source) }, String(number));
}
