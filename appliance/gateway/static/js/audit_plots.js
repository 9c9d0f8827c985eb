/** Plots as SVG: marks with titles, and the same numbers in a table for who cannot or will not look at them. */

import { h } from "./dom.js";
import { number } from "./format.js";
import { t } from "./i18n.js";

const SVG = "http://www.w3.org/2000/svg";
const [WIDTH, HEIGHT, FLOOR, TOP] = [360, 150, 128, 14];
const [ROW, LABEL, BAR] = [36, 15, 12];
const CLASSES = ["plot-first", "plot-second"];

/**
 * @typedef {{ label: string, values: number[] }} Row
 * @typedef {{ label: string, value: number, shown: string, second?: boolean, cells: string[] }} Bar
 */

/**
 * @param {string} tag
 * @param {Record<string, string | number>} attributes
 * @param {...(Node | string)} children
 */
export function mark(tag, attributes, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  element.append(...children);
  return element;
}

/**
 * Stacked columns of `rows`, with their numbers beneath.
 *
 * @param {string} title
 * @param {string} first the heading of the labels
 * @param {string[]} names what the values of a row are
 * @param {Row[]} rows
 */
export function columns(title, first, names, rows) {
  const highest = Math.max(1e-9, ...rows.map(({ values }) => values.reduce((sum, value) => sum + value, 0)));
  const step = WIDTH / Math.max(1, rows.length);
  const drawing = mark("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "plot", "aria-hidden": "true" });
  rows.forEach(({ label, values }, place) => {
    let floor = FLOOR;
    values.forEach((value, series) => {
      const height = ((FLOOR - TOP) * value) / highest;
      floor -= height;
      const at = { x: place * step + step * 0.15, y: floor, width: Math.min(step * 0.7, 40), height };
      if (value > 0) {
        const tip = mark("title", {}, `${label}: ${number(value, 1)} ${names[series]}`);
        drawing.append(mark("rect", { ...at, class: CLASSES[series] }, tip));
      }
    });
  });
  drawing.append(mark("line", { x1: 0, x2: WIDTH, y1: FLOOR, y2: FLOOR }));
  if (rows.length > 0) {
    drawing.append(
      mark("text", { x: 0, y: HEIGHT - 6 }, rows[0].label),
      mark("text", { x: WIDTH, y: HEIGHT - 6, "text-anchor": "end" }, rows.length > 1 ? rows[rows.length - 1].label : ""),
      mark("text", { x: 0, y: TOP - 3 }, number(highest, 1)),
    );
  }
  const shown = rows.length > 0 ? drawing : h("p", {}, t("audit.figures.none"));
  const cells = rows.map(({ label, values }) => ({ label, cells: values.map((value) => number(value, 1)) }));
  return h("figure", {}, h("figcaption", {}, title), legend(names), shown, table(first, names, cells));
}

/**
 * A bar for each of `rows`, one above the other, with what is `shown` beside it, and their `cells` beneath.
 *
 * @param {string} title
 * @param {string} first the heading of the labels
 * @param {string[]} names what the cells of a row are
 * @param {Bar[]} rows
 */
export function bars(title, first, names, rows) {
  const longest = Math.max(1e-9, ...rows.map(({ value }) => value));
  const drawing = mark("svg", { viewBox: `0 0 ${WIDTH} ${rows.length * ROW}`, class: "plot", "aria-hidden": "true" });
  rows.forEach(({ label, value, shown, second }, place) => {
    const y = place * ROW;
    const at = { x: 0, y: y + LABEL + 3, height: BAR };
    drawing.append(
      mark("text", { x: 0, y: y + LABEL - 3 }, label),
      mark("text", { x: WIDTH, y: y + LABEL - 3, "text-anchor": "end" }, shown),
      mark("rect", { ...at, width: WIDTH, class: "plot-ground" }),
      mark("rect", { ...at, width: Math.max(1, (WIDTH * value) / longest), class: CLASSES[second ? 1 : 0] }),
    );
  });
  const drawn = rows.length > 0 ? drawing : h("p", {}, t("audit.figures.none"));
  return h("figure", {}, h("figcaption", {}, title), drawn, table(first, names, rows));
}

/** @param {string[]} names */
function legend(names) {
  return h("ul", { class: "plot-keys" }, ...names.map((name, place) => h("li", { class: CLASSES[place] }, name)));
}

/**
 * @param {string} first
 * @param {string[]} names
 * @param {{ label: string, cells: string[] }[]} rows
 */
function table(first, names, rows) {
  if (rows.length === 0) return null;
  const head = [first, ...names].map((name, place) => h("th", { scope: "col", class: place > 0 ? "number" : "" }, name));
  const body = rows.map(({ label, cells }) =>
    h("tr", {}, h("td", {}, label), ...cells.map((cell, at) => h("td", { class: "number", "data-label": names[at] }, cell))),
  );
  return h(
    "details",
    {},
    h("summary", {}, t("audit.figures.numbers")),
    h("table", { class: "auditor-table" }, h("thead", {}, h("tr", {}, ...head)), h("tbody", {}, ...body)),
  );
}
