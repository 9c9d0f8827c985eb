/** The page before there is a conversation: signed out, out of reach, and the empty page of somebody signed in. */

import { byId, h, icon, wordmark } from "./dom.js";
import { goToSignIn } from "./drafts.js";
import { onLanguage, t } from "./i18n.js";
import { preferences } from "./preferences.js";

/** @type {(() => Array<Node | string>) | null} */
let shown = null;

/**
 * Whoever has no session sees who runs this, and one button; whoever comes back from a failed sign-in, also why.
 *
 * @param {string | null} problem code of the failed sign-in
 */
export function showSignedOut(problem) {
  show(() => [
    h("h1", {}, t("signed_out.title")),
    problem === null ? "" : h("div", { class: "notice", role: "alert" }, icon("warning"), h("span", {}, signInProblem(problem))),
    h("p", {}, t("signed_out.text")),
    h("button", { type: "button", class: "button button-primary", id: "sign-in", onclick: goToSignIn }, t("signed_out.action")),
  ]);
}

/** @param {string} code */
function signInProblem(code) {
  if (code === "sign_in_refused") return t("sign_in.refused");
  if (code === "sign_in_expired" || code === "sign_in_unknown") return t("sign_in.expired");
  if (code === "identity_unavailable") return t("sign_in.unavailable");
  if (code === "audit_unavailable") return t("sign_in.log");
  return t("sign_in.failed");
}

/** @param {() => void} again */
export function showUnreachable(again) {
  show(() => [
    h("h1", { role: "alert" }, t("unreachable.title")),
    h("p", {}, t("unreachable.text")),
    h("button", { type: "button", class: "button button-primary", id: "again", onclick: again }, t("unreachable.action")),
  ]);
}

/** Make way for the conversations. */
export function hideWelcome() {
  shown = null;
  byId("welcome").hidden = true;
  byId("shell").hidden = false;
}

/** @param {() => Array<Node | string>} content */
function show(content) {
  shown = content;
  byId("shell").hidden = true;
  byId("welcome").hidden = false;
  draw();
}

function draw() {
  if (shown === null) return;
  byId("welcome").replaceChildren(
    h("section", { class: "welcome-card" }, wordmark(), ...shown()),
    h("div", { class: "welcome-foot" }, preferences("welcome")),
  );
}

onLanguage(draw);

/**
 * The empty page: what this is, what it is good for, and a way to begin.
 *
 * @param {{ hasModels: boolean, site: string, begin: (text: string) => void }} options
 */
export function emptyPage({ hasModels, site, begin }) {
  if (!hasModels) {
    return h(
      "div",
      { class: "empty" },
      h("div", {}, h("h1", { id: "conversation-name", tabindex: -1 }, t("empty.no_models")), h("p", { class: "empty-lead" }, t("empty.no_models.text"))),
    );
  }
  const starters = [t("starter.summary"), t("starter.letter"), t("starter.explain"), t("starter.list")];
  const starter = (/** @type {string} */ text) =>
    h("li", {}, h("button", { type: "button", class: "starter", onclick: () => begin(`${text} `) }, text));
  return h(
    "div",
    { class: "empty" },
    h("div", {}, h("h1", { id: "conversation-name", tabindex: -1 }, t("empty.title")), h("p", { class: "empty-lead" }, t("empty.text", { site }))),
    h("div", {}, h("h2", { class: "section-label" }, t("empty.starters")), h("ul", { class: "starters" }, ...starters.map(starter))),
    h(
      "ul",
      { class: "facts" },
      fact("house", t("fact.here"), t("fact.here.text")),
      fact("receipt", t("fact.receipt"), t("fact.receipt.text")),
      fact("warning", t("fact.fallible"), t("fact.fallible.text")),
    ),
  );
}

/**
 * @param {string} name
 * @param {string} title
 * @param {string} text
 */
const fact = (name, title, text) => h("li", { class: "fact" }, icon(name), h("strong", {}, title), h("span", {}, text));
