/** Below an answer from documents: which passages it rests on, or that it rests on none. */

import * as api from "./api.js";
import { placeMarks, withClaims } from "./citations.js";
import { h, icon } from "./dom.js";
import { number } from "./format.js";
import { t, tn } from "./i18n.js";
import { openPassage } from "./passage.js";

/**
 * Draw an answer's citations: marks in its text, and the element that stands below it.
 *
 * @param {import("./prose.js").Prose} prose
 * @param {import("./api.js").Message} message
 * @param {(error: unknown) => void} failed
 * @returns {HTMLElement | null} null for an answer that did not ask for documents
 */
export function cite(prose, message, failed) {
  const documents = message.receipt?.documents;
  if (!documents) return null;
  const named = withTitles(documents, message.citations);
  prose.show(withClaims(message.content, named));
  placeMarks(prose.element, named, (place, source) => openPassage(place, source, failed));
  const note = noteOf(named);
  const cited = named.passages.filter((place) => place.cited);
  return h(
    "div",
    { class: "sources" },
    note ? h("p", { class: "sources-note" }, icon("warning"), note) : "",
    cited.length > 0 ? list(cited, failed) : "",
  );
}

/**
 * Titles come with a fresh answer only: nothing of a document is kept with one.
 *
 * @param {import("./citations.js").Documents} documents
 * @param {import("./citations.js").Documents | undefined} citations
 */
function withTitles(documents, citations) {
  const titles = new Map((citations?.passages ?? []).map((place) => [place.number, place]));
  return { ...documents, passages: documents.passages.map((place) => ({ ...place, ...titles.get(place.number) })) };
}

/** @param {import("./citations.js").Documents} documents */
function noteOf(documents) {
  if (documents.outcome === "abstained") return t("sources.abstained");
  if (documents.outcome === "nothing_fits") return t("sources.nothing");
  if (!documents.checked) return t("sources.unchecked");
  const without = documents.claims.filter((claim) => claim.support === "unsupported").length;
  return without > 0 ? tn("sources.unsupported", without) : "";
}

/**
 * The cited passages by number; their titles are fetched when the list is opened.
 *
 * @param {import("./citations.js").Place[]} cited
 * @param {(error: unknown) => void} failed
 */
function list(cited, failed) {
  const items = cited.map((place) => ({ place, text: h("span", {}, nameOf(place)) }));
  const rows = items.map(({ place, text }) => {
    const badge = h("span", { class: "cite", "aria-hidden": "true" }, String(place.number));
    const open = () => openPassage(place, undefined, failed);
    return h("li", {}, h("button", { type: "button", class: "source", "aria-haspopup": "dialog", onclick: open }, badge, text));
  });
  const details = h(
    "details",
    { open: cited.every((place) => place.title !== undefined) },
    h("summary", {}, tn("sources.title", cited.length)),
    h("ol", { class: "source-list" }, ...rows),
  );
  details.addEventListener("toggle", async () => {
    if (!details.open || cited.every((place) => place.title !== undefined)) return;
    try {
      const found = await api.passages(cited);
      items.forEach(({ place, text }, at) => {
        place.title = found[at]?.title ?? t("sources.gone");
        text.textContent = nameOf({ ...place, headings: found[at]?.headings });
      });
    } catch (error) {
      failed(error);
    }
  });
  return details;
}

/** @param {import("./citations.js").Place} place */
function nameOf({ title, headings = [], page, number: at }) {
  const name = title ?? t("sources.one", { number: at });
  const where = page === null || page === undefined ? "" : t("passage.page", { page: number(page) });
  return [name, ...headings, where].filter((part) => part !== "").join(" · ");
}
