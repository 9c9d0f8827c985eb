/** What was used, refused and spent in a period of days. */

import * as api from "./api.js";
import { field, today } from "./audit_form.js";
import { endingBars } from "./audit_endings.js";
import { bars, columns } from "./audit_plots.js";
import { h } from "./dom.js";
import { number } from "./format.js";
import { onLanguage, t } from "./i18n.js";

const DAYS = 30;
const MOST_REASONS = 8;
const SHORT = 12;

/**
 * @typedef {{ answers: number, refusals: number, joules: number, sign_ins: number, failed_sign_ins: number }} Tally
 * @typedef {{ subject: string, model: string, requests: number, tokens: number, joules: number }} Pair
 * @typedef {{ subject: string, failed_sign_ins: number, sign_ins: number }} Failing
 * @typedef {{ by_day: Record<string, Tally>, refusal_reasons: Record<string, number>, outcomes: Record<string, number>,
 *   top_users_by_model: Pair[], top_failed_sign_ins: Failing[] }} Report
 */

export class Figures {
  /**
   * @param {HTMLElement} form
   * @param {HTMLElement} place
   * @param {(error: unknown) => void} onError
   */
  constructor(form, place, onError) {
    this.form = form;
    this.place = place;
    this.onError = onError;
    this.asked = { since: today(-DAYS), until: today() };
    /** @type {Report | null} */
    this.report = null;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const data = new FormData(/** @type {HTMLFormElement} */ (form));
      this.asked = { since: String(data.get("since") ?? ""), until: String(data.get("until") ?? "") };
      void this.#load();
    });
    onLanguage(() => this.#draw());
  }

  async start() {
    this.#draw();
    await this.#load();
  }

  async #load() {
    this.place.setAttribute("aria-busy", "true");
    try {
      this.report = await api.audit("figures", this.asked);
      this.onError(null);
    } catch (error) {
      this.onError(error);
    }
    this.place.setAttribute("aria-busy", "false");
    this.#draw();
  }

  #draw() {
    this.form.replaceChildren(
      field(t("audit.filter.since"), { name: "since", type: "date", value: this.asked.since }),
      field(t("audit.filter.until"), { name: "until", type: "date", value: this.asked.until }),
      h("button", { type: "submit", class: "button" }, t("audit.figures.count")),
    );
    if (this.report === null) {
      this.place.replaceChildren(h("p", {}, t("audit.figures.counting")));
      return;
    }
    const days = Object.entries(this.report.by_day);
    const reasons = Object.entries(this.report.refusal_reasons).slice(0, MOST_REASONS);
    this.place.replaceChildren(
      columns(
        t("audit.figures.use"),
        t("audit.figures.day"),
        [t("audit.figures.answers"), t("audit.figures.refusals")],
        days.map(([label, { answers, refusals }]) => ({ label, values: [answers, refusals] })),
      ),
      columns(
        t("audit.figures.energy"),
        t("audit.figures.day"),
        [t("audit.figures.joules")],
        days.map(([label, { joules }]) => ({ label, values: [joules] })),
      ),
      columns(
        t("audit.figures.signing_in"),
        t("audit.figures.day"),
        [t("audit.figures.sign_ins"), t("audit.figures.failed")],
        days.map(([label, tally]) => ({ label, values: [tally.sign_ins, tally.failed_sign_ins] })),
      ),
      bars(
        t("audit.figures.reasons"),
        t("audit.figures.reason"),
        [t("audit.figures.refusals")],
        reasons.map(([label, value]) => ({ label, value, shown: number(value), second: true, cells: [number(value)] })),
      ),
      endingBars(this.report.outcomes),
      failing(this.report.top_failed_sign_ins),
      people(this.report.top_users_by_model),
    );
  }
}

/**
 * Who used which model how much: the users with most requests, by pseudonym.
 *
 * @param {Pair[]} pairs
 */
function people(pairs) {
  const names = [t("audit.figures.requests"), t("audit.figures.tokens"), t("audit.figures.joules")];
  const rows = pairs.map(({ subject, model, requests, tokens, joules }) => ({
    texts: [pseudonym(subject), h("td", {}, model)],
    values: [requests, tokens, joules],
  }));
  const shown = table([t("audit.filter.subject"), t("audit.filter.model")], names, rows);
  return h("figure", { class: "auditor-people" }, h("figcaption", {}, t("audit.figures.people")), shown);
}

/**
 * Whose sign-ins failed most.
 *
 * @param {Failing[]} users
 */
function failing(users) {
  const rows = users.map(({ subject, failed_sign_ins: failed, sign_ins: worked }) => ({
    texts: [pseudonym(subject)],
    values: [failed, worked],
  }));
  const shown = table([t("audit.filter.subject")], [t("audit.figures.failed"), t("audit.figures.sign_ins")], rows);
  return h("figure", {}, h("figcaption", {}, t("audit.figures.failing")), shown);
}

/** @param {string} subject */
function pseudonym(subject) {
  return h("td", { class: "mono", title: subject }, subject.slice(0, SHORT));
}

/**
 * @param {string[]} texts headings of the texts
 * @param {string[]} names headings of the values
 * @param {{ texts: HTMLElement[], values: number[] }[]} rows
 */
function table(texts, names, rows) {
  if (rows.length === 0) return h("p", {}, t("audit.figures.none"));
  const heads = [...texts, ...names].map((name, place) =>
    h("th", { scope: "col", class: place >= texts.length ? "number" : "" }, name),
  );
  const body = rows.map(({ texts: cells, values }) =>
    h("tr", {}, ...cells, ...values.map((value, at) => h("td", { class: "number", "data-label": names[at] }, number(value, 1)))),
  );
  return h(
    "div",
    { class: "auditor-scroll" },
    h("table", { class: "auditor-table" }, h("thead", {}, h("tr", {}, ...heads)), h("tbody", {}, ...body)),
  );
}
