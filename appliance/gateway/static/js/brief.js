/** The page of briefs: what each group is told before anybody asks, what is new, and every way to have it otherwise. */

import * as api from "./api.js";
import { byId, h } from "./dom.js";
import { moment } from "./format.js";
import { onLanguage, speak, t, tn } from "./i18n.js";
import { announce } from "./live.js";
import { offerLanguages, preferences, preferredLanguage } from "./preferences.js";

/**
 * @typedef {{ id: string, text: string, above: string, kind: string, new: boolean }} Line
 * @typedef {{ id: string, digest: string | null, lines: Line[], gone: Array<{ text: string, above: string }> }} Brief
 * @typedef {{ name: string, last: { state: string, cause: string | null, at: string } | null, in_force: Brief | null,
 *   waiting: Brief | null }} Group
 */

/** @type {Group[] | null} */
let found = null;

/** @param {unknown} error */
function told(error) {
  if (error instanceof api.Problem && error.status === 401) return t("expert.problem.signed_out");
  if (error instanceof api.Problem && error.status === 403) return t("expert.problem.role");
  if (error instanceof api.Problem && (error.status === 404 || error.status === 409)) return t("brief.problem.changed");
  return t("expert.problem.other");
}

/** @param {unknown} error */
function show(error) {
  const problem = byId("brief-problem");
  problem.textContent = error === null ? "" : told(error);
  problem.hidden = error === null;
  if (error !== null) problem.scrollIntoView({ block: "nearest" });
}

/**
 * @param {() => Promise<unknown>} act
 * @param {string} done
 */
async function acted(act, done) {
  try {
    await act();
    show(null);
    announce(done);
  } catch (error) {
    show(error);
  }
  await load().catch(show);
}

async function load() {
  found = (await api.expert("briefs")).groups;
  draw();
}

/** @param {string} state */
function stateOf(state) {
  const names = {
    compiling: t("brief.state.compiling"),
    compiled: t("brief.state.compiled"),
    judged: t("brief.state.judged"),
    in_force: t("brief.state.in_force"),
    refused: t("brief.state.refused"),
    replaced: t("brief.state.replaced"),
    empty: t("brief.state.empty"),
  };
  return names[/** @type {keyof typeof names} */ (state)] ?? state;
}

/**
 * @param {Brief} brief
 * @param {Line} line
 */
function row(brief, line) {
  const source = line.kind === "ruling" ? t("brief.ruling") : line.above;
  const strike = () => acted(() => api.changeBrief("DELETE", `${brief.id}/lines/${line.id}`), t("brief.struck"));
  return h(
    "li",
    { class: "brief-line" },
    h(
      "div",
      {},
      h("p", { class: "brief-said" }, line.text),
      h("p", { class: "brief-source" }, line.new ? `${t("brief.new")} · ${source}` : source),
    ),
    h("button", { type: "button", class: "button", "aria-label": t("brief.strike.label", { text: line.text }), onclick: strike }, t("brief.strike")),
  );
}

/** @param {Brief} brief */
function lines(brief) {
  const gone = brief.gone.map((one) =>
    h("li", { class: "brief-line" }, h("div", {}, h("p", { class: "brief-said brief-gone" }, one.text), h("p", { class: "brief-source" }, t("brief.gone")))),
  );
  return h("ul", { class: "brief-lines" }, ...brief.lines.map((line) => row(brief, line)), ...gone);
}

/** @param {Group} group */
function section(group) {
  const { in_force: now, waiting, last } = group;
  const parts = [h("h2", { id: `brief-${group.name}` }, group.name)];
  if (last !== null) parts.push(h("p", { class: "brief-source" }, t("brief.last", { state: stateOf(last.state), at: moment(last.at) })));
  if (now === null) parts.push(h("p", {}, t("brief.none")));
  else {
    const back = () => acted(() => api.changeBrief("DELETE", now.id), t("brief.taken_back"));
    parts.push(
      h("h3", {}, t("brief.in_force")),
      h("p", {}, tn("brief.count", now.lines.length)),
      lines(now),
      h("div", { class: "brief-acts" }, h("button", { type: "button", class: "button", onclick: back }, t("brief.back"))),
    );
  }
  if (waiting !== null) {
    const accept = () => acted(() => api.changeBrief("POST", `${waiting.id}/acceptance`), t("brief.accepted"));
    parts.push(
      h("h3", {}, t("brief.waiting")),
      lines(waiting),
      h("div", { class: "brief-acts" }, h("button", { type: "button", class: "button button-primary", onclick: accept }, t("brief.accept"))),
    );
  }
  return h("section", { "aria-labelledby": `brief-${group.name}` }, ...parts);
}

function draw() {
  byId("brief-preferences").replaceChildren(preferences("brief"));
  document.title = `${t("brief.title")} · sovereign`;
  if (found === null) return;
  byId("brief-groups").replaceChildren(...(found.length === 0 ? [h("p", {}, t("brief.no_group"))] : found.map(section)));
}

async function open() {
  draw();
  onLanguage(draw);
  try {
    const session = await api.session();
    await offerLanguages(session.languages);
    await load();
  } catch (error) {
    show(error);
  }
}

await speak(preferredLanguage());
await open();
