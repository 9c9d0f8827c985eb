/**
 * An answer's text as elements, while it grows. Only the blocks whose source changed are built again, so a long answer
 * costs what its last block costs, and a selection made in an earlier block survives.
 */

import { copyButton } from "./clipboard.js";
import { h } from "./dom.js";
import { t } from "./i18n.js";
import { parse } from "./markdown.js";
import { spansOf } from "./spans.js";

export class Prose {
  /** @type {Array<{ raw: string, element: Element }>} */
  #shown = [];

  constructor() {
    this.element = h("div", { class: "prose" });
    this.text = "";
  }

  /**
   * Show `text` in place of what is shown.
   *
   * @param {string} text
   */
  show(text) {
    this.text = text;
    const blocks = parse(text);
    let same = 0;
    while (same < blocks.length && this.#shown[same]?.raw === blocks[same].raw) same += 1;
    for (const { element } of this.#shown.slice(same)) element.remove();
    const fresh = blocks.slice(same).map((block) => ({ raw: block.raw, element: blockElement(block) }));
    this.#shown = [...this.#shown.slice(0, same), ...fresh];
    this.element.append(...fresh.map(({ element }) => element));
  }
}

/**
 * @param {import("./markdown.js").Block} block
 * @returns {HTMLElement}
 */
function blockElement(block) {
  switch (block.kind) {
    case "heading":
      return h(block.level <= 2 ? "h3" : "h4", {}, ...inline(block.text));
    case "code":
      return codeElement(block.language, block.text);
    case "quote":
      return h("blockquote", {}, ...block.blocks.map(blockElement));
    case "list":
      return h(
        block.ordered ? "ol" : "ul",
        { start: block.ordered && block.start !== 1 ? block.start : undefined },
        ...block.items.map((item) => h("li", {}, ...itemChildren(item))),
      );
    case "rule":
      return h("hr");
    case "table":
      return tableElement(block.head, block.rows);
    default:
      return h("p", {}, ...inline(block.text));
  }
}

/**
 * The first paragraph of an item stands beside its marker without a paragraph's space.
 *
 * @param {import("./markdown.js").Block[]} blocks
 */
function itemChildren(blocks) {
  return blocks.flatMap((block, at) => (at === 0 && block.kind === "paragraph" ? inline(block.text) : [blockElement(block)]));
}

/**
 * @param {string} language
 * @param {string} text
 */
function codeElement(language, text) {
  const label = language || t("code.plain");
  return h(
    "div",
    { class: "code" },
    h("div", { class: "code-head" }, h("span", {}, label), copyButton(t("code.copy"), () => text)),
    h("pre", { tabindex: 0, role: "group", "aria-label": t("code.label", { language: label }) }, h("code", {}, text)),
  );
}

/**
 * @param {string[]} head
 * @param {string[][]} rows
 */
function tableElement(head, rows) {
  return h(
    "div",
    { class: "table", tabindex: 0, role: "group", "aria-label": t("table.label") },
    h(
      "table",
      {},
      h("thead", {}, h("tr", {}, ...head.map((cell) => h("th", { scope: "col" }, ...inline(cell))))),
      h("tbody", {}, ...rows.map((row) => h("tr", {}, ...row.map((cell) => h("td", {}, ...inline(cell)))))),
    ),
  );
}

/**
 * @param {string} text
 * @returns {Node[]}
 */
function inline(text) {
  return spansOf(text).map(spanNode);
}

/**
 * @param {import("./spans.js").Span} span
 * @returns {Node}
 */
function spanNode(span) {
  switch (span.kind) {
    case "code":
      return h("code", {}, span.text);
    case "break":
      return h("br");
    case "strong":
    case "em":
      return h(span.kind, {}, ...span.spans.map(spanNode));
    case "address":
      return h("span", {}, span.text, span.text === "" ? "" : " ", h("span", { class: "address" }, `(${span.address})`));
    default:
      return document.createTextNode(span.text);
  }
}
