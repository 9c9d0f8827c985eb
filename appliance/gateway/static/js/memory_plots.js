/** Bars of tiers, one above the other, stacked by scope; the same numbers stand in a table beneath. */

import { mark } from "./audit_plots.js";
import { h } from "./dom.js";
import { number } from "./format.js";
import { t } from "./i18n.js";
import { SCOPES, TIERS, scopeName, tierName } from "./memory_words.js";

/** The colour of a scope, in the bars and in the key. */
const CLASSES = ["memory-site", "memory-group", "memory-user", "memory-untold"];
const [WIDTH, ROW, LABEL, BAR, TOP] = [360, 40, 15, 14, 4];

/**
 * @typedef {import("./memory_tiers.js").Row} Row
 * @typedef {{ tier: string, values: (number | null)[] }} Sum
 */

/**
 * What `of` gives, summed by tier and scope over `rows`; null where nothing is known of any.
 *
 * @param {Row[]} rows
 * @param {(row: Row) => number | null} of
 * @returns {Sum[]}
 */
export function sums(rows, of) {
  const tiers = TIERS.filter((tier) => rows.some((row) => row.tier === tier));
  return tiers.map((tier) => ({
    tier,
    values: SCOPES.map((scope) => {
      const known = rows.filter((row) => row.tier === tier && row.scope === scope).map(of);
      const numbers = known.filter((value) => value !== null);
      return numbers.length > 0 ? numbers.reduce((sum, value) => sum + value, 0) : null;
    }),
  }));
}

/**
 * @param {string} title
 * @param {Sum[]} rows
 * @param {string} unit
 */
export function bars(title, rows, unit) {
  const known = rows.filter(({ values }) => values.some((value) => value !== null));
  if (known.length === 0) return h("figure", {}, h("figcaption", {}, title), h("p", {}, t("memory.plot.none")));
  const shown = SCOPES.filter((_, place) => known.some(({ values }) => (values[place] ?? 0) > 0));
  return h("figure", {}, h("figcaption", {}, title), legend(shown), drawing(known, unit), table(known, unit));
}

/** @param {string[]} scopes */
function legend(scopes) {
  const keys = scopes.map((scope) => h("li", { class: ["memory-key", CLASSES[SCOPES.indexOf(scope)]].join(" ") }, scopeName(scope)));
  return h("ul", { class: "plot-keys" }, ...keys);
}

/**
 * @param {Sum[]} rows
 * @param {string} unit
 */
function drawing(rows, unit) {
  const longest = Math.max(1e-9, ...rows.map(({ values }) => total(values)));
  const height = TOP + rows.length * ROW;
  const svg = mark("svg", { viewBox: `0 0 ${WIDTH} ${height}`, class: "plot memory-plot", "aria-hidden": "true" });
  rows.forEach(({ tier, values }, place) => {
    const y = TOP + place * ROW;
    const whole = `${number(total(values), 1)} ${unit}`;
    svg.append(
      mark("text", { x: 0, y: y + LABEL - 4 }, tierName(tier)),
      mark("text", { x: WIDTH, y: y + LABEL - 4, "text-anchor": "end" }, whole),
      mark("rect", { x: 0, y: y + LABEL, width: WIDTH, height: BAR, class: "memory-ground" }),
    );
    let x = 0;
    values.forEach((value, series) => {
      if (value === null || value <= 0) return;
      const width = (WIDTH * value) / longest;
      const tip = mark("title", {}, `${tierName(tier)}, ${scopeName(SCOPES[series])}: ${number(value, 1)} ${unit}`);
      svg.append(mark("rect", { x, y: y + LABEL, width, height: BAR, class: CLASSES[series] }, tip));
      x += width;
    });
  });
  return svg;
}

/**
 * @param {Sum[]} rows
 * @param {string} unit
 */
function table(rows, unit) {
  const places = SCOPES.map((_, place) => place).filter((place) => rows.some(({ values }) => values[place] !== null));
  const head = [t("memory.column.tier"), ...places.map((place) => scopeName(SCOPES[place]))];
  const body = rows.map(({ tier, values }) =>
    h(
      "tr",
      {},
      h("th", { scope: "row" }, tierName(tier)),
      ...places.map((place) => {
        const value = values[place];
        const label = scopeName(SCOPES[place]);
        return h("td", { class: "number", "data-label": label }, value === null ? "–" : number(value, 1));
      }),
    ),
  );
  return h(
    "details",
    {},
    h("summary", {}, t("memory.plot.numbers", { unit })),
    h(
      "table",
      { class: "memory-table" },
      h("thead", {}, h("tr", {}, ...head.map((name) => h("th", { scope: "col" }, name)))),
      h("tbody", {}, ...body),
    ),
  );
}

/** @param {(number | null)[]} values */
const total = (values) => values.reduce((/** @type {number} */ sum, value) => sum + (value ?? 0), 0);
