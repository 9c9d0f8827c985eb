/**
 * A passage of a document, beside the answer. It is read from the library when it is opened, under what the person may
 * see now, and shown as plain text: no markup, link or image of a document is ever drawn as one.
 */

import * as api from "./api.js";
import { openDrawer } from "./dialogs.js";
import { h, icon } from "./dom.js";
import { number } from "./format.js";
import { t } from "./i18n.js";
import { announce } from "./live.js";

/**
 * @param {import("./citations.js").Place} place
 * @param {import("./citations.js").Source | null | undefined} source null: the passage does not carry the claim that
 *   named it; undefined: it was opened from the list, for no claim
 * @param {(error: unknown) => void} failed
 */
export async function openPassage(place, source, failed) {
  const body = h("div", { class: "passage" }, h("p", { class: "loading" }, t("passage.loading")));
  openDrawer({ title: t("passage.title", { number: place.number }), body: [body], foot: [] });
  try {
    const [found] = await api.passages([place]);
    body.replaceChildren(...(found ? shown(found, place, source) : [h("p", { class: "notice notice-calm" }, icon("warning"), t("passage.gone"))]));
    announce(found ? found.title : t("passage.gone"));
  } catch (error) {
    body.replaceChildren(h("p", {}, t("passage.failed")));
    failed(error);
  }
}

/**
 * @param {api.Passage} found
 * @param {import("./citations.js").Place} place
 * @param {import("./citations.js").Source | null | undefined} source
 */
function shown(found, place, source) {
  const page = found.page === null ? "" : t("passage.page", { page: number(found.page) });
  const about = [...found.headings, page].filter((part) => part !== "").join(" · ");
  return [
    h("p", { class: "passage-title" }, found.title),
    about ? h("p", { class: "passage-about" }, about) : "",
    h("blockquote", { class: "passage-text" }, ...highlighted(found.text, place, source)),
    h("p", { class: "passage-how" }, how(source)),
    h("dl", { class: "facts-list" }, h("dt", {}, t("passage.version")), h("dd", {}, h("span", { class: "digest" }, place.version))),
  ];
}

/** @param {import("./citations.js").Source | null | undefined} source */
function how(source) {
  if (source === undefined) return "";
  if (source === null) return t("passage.doubtful");
  const said = source.how === "quoted" ? t("passage.quoted") : t("passage.worded");
  return source.marked ? said : `${said} ${t("passage.found")}`;
}

/**
 * The text with what the claim rests on set off. Places count code points.
 *
 * @param {string} text
 * @param {import("./citations.js").Place} place
 * @param {import("./citations.js").Source | null | undefined} source
 * @returns {Array<Node | string>}
 */
function highlighted(text, place, source) {
  if (!source) return [text];
  const letters = Array.from(text);
  const part = (/** @type {number} */ from, /** @type {number} */ to) => letters.slice(Math.max(0, from), Math.max(0, to)).join("");
  const from = source.first - place.first;
  const to = source.last - place.first;
  return [part(0, from), h("mark", {}, part(from, to)), part(to, letters.length)];
}
