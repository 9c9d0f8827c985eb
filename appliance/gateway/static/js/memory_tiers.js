/** Each engine's tiers and the library's, row by row. What is not known is a dash, and said in words. */

import { h } from "./dom.js";
import { number } from "./format.js";
import { locale, t } from "./i18n.js";
import { ages, count, size, span, tierName, whose } from "./memory_words.js";

/**
 * @typedef {{ tier: string, scope: string, group: string | null, of: string | null, count: number | null,
 *   tokens: number | null, size: number | null, characters: number | null, oldest_s: number | null,
 *   newest_s: number | null, hits: number | null, tokens_saved: number | null, joules_saved: number | null }} Row
 * @typedef {{ model: string, state: "running" | "not_running" | "not_known", reason: string | null, rows: Row[],
 *   cells: number | null, up_s: number | null, joules_per_token: number | null,
 *   energy: "estimated" | "measured" | null }} Engine
 * @typedef {{ known: boolean, rows: Row[], size: number | null, passages_used: number | null,
 *   documents_cited: number | null }} Library
 * @typedef {{ since: string | null, engines: Engine[], library: Library }} Hierarchy
 */

/**
 * @param {HTMLElement} place
 * @param {Engine[]} engines
 */
export function drawEngines(place, engines) {
  place.replaceChildren(
    ...engines.map((engine, number) => {
      const id = `memory-engine-${number}`;
      return h(
        "section",
        { "aria-labelledby": id },
        h("h2", { id }, t("memory.engine.title", { model: engine.model })),
        ...parts(engine),
      );
    }),
  );
}

/** @param {Engine} engine */
function parts(engine) {
  if (engine.state === "not_running") return [h("p", { class: "memory-state" }, t("memory.engine.not_running")), saved(engine)];
  if (engine.state === "not_known") {
    const reason = h("span", { lang: "en" }, engine.reason ?? "");
    return [h("p", { class: "memory-state" }, t("memory.engine.not_known"), " ", reason), saved(engine)];
  }
  if (engine.cells === 0) return [h("p", {}, t("memory.engine.vectors"))];
  const held = engine.rows.filter(({ tier }) => tier !== "disk").reduce((sum, row) => sum + (row.tokens ?? 0), 0);
  const facts = [
    [t("memory.engine.cells"), t("memory.engine.cells_of", { held: number(held), cells: number(engine.cells ?? 0) })],
    [t("memory.engine.up"), span(engine.up_s ?? 0)],
    [t("memory.engine.cost"), cost(engine)],
  ];
  return [
    h("dl", { class: "auditor-facts" }, ...facts.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)])),
    engine.rows.length > 0 ? table(engine.rows) : h("p", {}, t("memory.engine.empty")),
  ];
}

/**
 * What an engine spared that says nothing now.
 *
 * @param {Engine} engine
 */
const saved = (engine) => (engine.rows.length > 0 ? table(engine.rows) : null);

/** @param {Engine} engine */
function cost({ joules_per_token: joules, energy }) {
  if (joules === null) return t("memory.engine.no_cost");
  const each = new Intl.NumberFormat(locale(), { maximumSignificantDigits: 2 }).format(joules);
  return energy === "measured" ? t("memory.engine.cost_measured", { joules: each }) : t("memory.engine.cost_declared", { joules: each });
}

/** @param {Row[]} rows */
function table(rows) {
  const names = [
    t("memory.column.tier"),
    t("memory.column.scope"),
    t("memory.column.holds"),
    t("memory.column.tokens"),
    t("memory.column.size"),
    t("memory.column.age"),
    t("memory.column.hits"),
    t("memory.column.saved"),
    t("memory.column.joules"),
  ];
  return drawn(
    names,
    rows.map((row) => [
      tierName(row.tier),
      whose(row),
      count(row.count),
      count(row.tokens),
      size(row.size),
      ages(row.newest_s, row.oldest_s),
      count(row.hits),
      count(row.tokens_saved),
      count(row.joules_saved, 1),
    ]),
  );
}

/**
 * @param {HTMLElement} place
 * @param {Library} library
 */
export function drawLibrary(place, library) {
  const names = [
    t("memory.column.tier"),
    t("memory.column.scope"),
    t("memory.column.holds"),
    t("memory.column.characters"),
    t("memory.column.age"),
  ];
  const rows = library.rows.map((row) => [
    tierName(row.tier),
    whose(row),
    count(row.count),
    count(row.characters),
    ages(row.newest_s, row.oldest_s),
  ]);
  const facts = [
    [t("memory.library.size"), size(library.size)],
    [t("memory.library.used"), count(library.passages_used)],
    [t("memory.library.cited"), count(library.documents_cited)],
  ];
  const shown = [
    h("dl", { class: "auditor-facts" }, ...facts.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)])),
    library.known ? null : h("p", { class: "memory-state" }, t("memory.library.unknown")),
    library.known && rows.length === 0 ? h("p", {}, t("memory.library.empty")) : null,
    rows.length > 0 ? drawn(names, rows) : null,
    h("p", { class: "memory-note" }, t("memory.library.note")),
  ];
  place.replaceChildren(...shown.filter((part) => part !== null));
}

/**
 * The first two columns are words, the rest are figures.
 *
 * @param {string[]} names
 * @param {string[][]} rows
 */
function drawn(names, rows) {
  const head = names.map((name, place) => h("th", { scope: "col", class: place > 1 && "number" }, name));
  const body = rows.map(([tier, ...cells]) =>
    h(
      "tr",
      {},
      h("th", { scope: "row" }, tier),
      ...cells.map((cell, place) => h("td", { class: place > 0 && "number", "data-label": names[place + 1] }, cell)),
    ),
  );
  return h("table", { class: "memory-table" }, h("thead", {}, h("tr", {}, ...head)), h("tbody", {}, ...body));
}
