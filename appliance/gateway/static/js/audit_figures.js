/** What was used, refused and spent in a period of days. */

import * as api from "./api.js";
import { field, today } from "./audit_form.js";
import { columns } from "./audit_plots.js";
import { h } from "./dom.js";
import { number } from "./format.js";
import { onLanguage, t } from "./i18n.js";

const DAYS = 30;
const MOST_REASONS = 8;
const SHORT = 12;

/**
 * @typedef {{ answers: number, refusals: number, joules: number }} Tally
 * @typedef {{ subject: string, model: string, requests: number, tokens: number, joules: number }} Pair
 * @typedef {{ by_day: Record<string, Tally>, refusal_reasons: Record<string, number>, top_users_by_model: Pair[] }} Report
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
        t("audit.figures.reasons"),
        t("audit.figures.reason"),
        [t("audit.figures.refusals")],
        reasons.map(([label, count]) => ({ label, values: [count] })),
      ),
      columns(
        t("audit.figures.energy"),
        t("audit.figures.day"),
        [t("audit.figures.joules")],
        days.map(([label, { joules }]) => ({ label, values: [joules] })),
      ),
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
  const figures = [t("audit.figures.requests"), t("audit.figures.tokens"), t("audit.figures.joules")];
  const heads = [t("audit.filter.subject"), t("audit.filter.model"), ...figures].map((name, place) =>
    h("th", { scope: "col", class: place > 1 ? "number" : "" }, name),
  );
  const rows = pairs.map(({ subject, model, requests, tokens, joules }) =>
    h(
      "tr",
      {},
      h("td", { class: "mono", title: subject }, subject.slice(0, SHORT)),
      h("td", {}, model),
      ...[requests, tokens, joules].map((value, at) => h("td", { class: "number", "data-label": figures[at] }, number(value, 1))),
    ),
  );
  const shown =
    rows.length > 0
      ? h(
          "div",
          { class: "auditor-scroll" },
          h(
            "table",
            { class: "auditor-table" },
            h("thead", {}, h("tr", {}, ...heads)),
            h("tbody", {}, ...rows),
          ),
        )
      : h("p", {}, t("audit.figures.none"));
  return h("figure", { class: "auditor-people" }, h("figcaption", {}, t("audit.figures.people")), shown);
}
