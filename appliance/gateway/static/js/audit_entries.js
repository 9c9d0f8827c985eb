/** The entries: latest first, by filters, a page at a time; each with its event and its proof. */

import * as api from "./api.js";
import { field } from "./audit_form.js";
import { h } from "./dom.js";
import { moment, number } from "./format.js";
import { onLanguage, t, tn } from "./i18n.js";
import { announce } from "./live.js";

const SHORT = 12;

/**
 * @typedef {{ index: number, time: number, kind: string, subject: string | null, groups: string[], model: string | null,
 *   outcomes: string[], event: object }} Entry
 * @typedef {{ entries: Entry[], before: number | null, size: number }} Found
 */

export class Entries {
  /**
   * @param {HTMLElement} form
   * @param {HTMLElement} place
   * @param {import("./audit_names.js").Names} names
   * @param {(error: unknown) => void} onError
   */
  constructor(form, place, names, onError) {
    this.form = form;
    this.place = place;
    this.names = names;
    this.onError = onError;
    /** @type {Record<string, string>} */
    this.asked = {};
    /** @type {Entry[]} */
    this.entries = [];
    /** @type {number | null} */
    this.before = null;
    this.searched = false;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const data = new FormData(/** @type {HTMLFormElement} */ (form));
      this.asked = Object.fromEntries([...data].map(([name, value]) => [name, String(value).trim()]));
      this.entries = [];
      this.before = null;
      void this.#more();
    });
    names.onSwitch(() => {
      this.onError(null);
      void this.#named();
    });
    onLanguage(() => this.#draw());
  }

  async start() {
    this.#draw();
    await this.#more();
  }

  async #more() {
    try {
      const before = this.before === null ? "" : String(this.before);
      /** @type {Found} */
      const found = await api.audit("entries", { ...this.asked, before });
      this.entries.push(...found.entries);
      this.before = found.before;
      this.searched = true;
      this.onError(null);
      announce(tn("audit.entries.shown", this.entries.length));
    } catch (error) {
      this.onError(error);
    }
    await this.#named();
  }

  /** Draw; then, where names are to be shown, ask for them and draw again. */
  async #named() {
    this.#draw();
    if (!this.names.on) return;
    try {
      await this.names.learn(this.entries.map((entry) => entry.subject));
    } catch (error) {
      this.onError(error);
    }
    this.#draw();
  }

  #draw() {
    const value = (/** @type {string} */ name) => this.asked[name] ?? "";
    this.form.replaceChildren(
      field(t("audit.filter.since"), { name: "since", type: "date", value: value("since") }),
      field(t("audit.filter.until"), { name: "until", type: "date", value: value("until") }),
      field(t("audit.filter.subject"), { name: "subject", value: value("subject") }),
      field(t("audit.filter.group"), { name: "group", value: value("group") }),
      field(t("audit.filter.kind"), { name: "kind", value: value("kind") }),
      field(t("audit.filter.outcome"), { name: "outcome", value: value("outcome") }),
      field(t("audit.filter.model"), { name: "model", value: value("model") }),
      h("button", { type: "submit", class: "button button-primary" }, t("audit.filter.show")),
    );
    this.place.replaceChildren(this.#table(), this.#foot());
  }

  #table() {
    const heads = [
      t("audit.entries.index"),
      t("audit.entries.time"),
      t("audit.filter.kind"),
      t("audit.filter.subject"),
      t("audit.filter.model"),
      t("audit.filter.outcome"),
      t("audit.entries.proof"),
    ];
    return h(
      "div",
      { class: "auditor-scroll" },
      h(
        "table",
        { class: "auditor-table" },
        h("thead", {}, h("tr", {}, ...heads.map((head, place) => h("th", { scope: "col", class: place === 0 ? "number" : "" }, head)))),
        h("tbody", {}, ...this.entries.map((entry) => row(entry, this.names))),
      ),
    );
  }

  #foot() {
    const [latest, earliest] = [this.entries[0], this.entries[this.entries.length - 1]];
    const nothing = this.searched && this.entries.length === 0;
    return h(
      "div",
      { class: "auditor-more" },
      nothing && h("p", {}, this.before === null ? t("audit.entries.none") : t("audit.entries.none_yet")),
      this.before !== null && h("button", { type: "button", class: "button", onclick: () => void this.#more() }, t("audit.entries.more")),
      latest !== undefined &&
        h("a", { class: "button button-quiet", href: exported(earliest.index, latest.index), download: true }, t("audit.entries.export")),
    );
  }
}

/**
 * @param {Entry} entry
 * @param {import("./audit_names.js").Names} names
 */
function row({ index, time, kind, subject, groups, model, outcomes, event }, names) {
  const label = t("audit.entries.download", { index: number(index) });
  const proof = { class: "button button-quiet", "aria-label": label, title: label };
  return h(
    "tr",
    {},
    h("td", { class: "number" }, number(index)),
    h("td", {}, moment(new Date(time).toISOString())),
    h("td", {}, kind, whole(event)),
    h("td", {}, subject !== null && person(subject, names.of(subject)), h("div", {}, groups.join(", "))),
    h("td", {}, model),
    h("td", {}, outcomes.join(", ")),
    h("td", {}, h("a", { ...proof, href: exported(index, index), download: true }, t("audit.entries.proof"))),
  );
}

/**
 * @param {string} subject
 * @param {string | null | undefined} name
 */
function person(subject, name) {
  const pseudonym = h("span", { class: "mono", title: subject }, subject.slice(0, SHORT));
  if (name === undefined) return pseudonym;
  const said = name === null ? h("em", {}, t("audit.names.erased")) : h("strong", {}, name);
  return h("div", {}, h("div", {}, said), pseudonym);
}

/** @param {object} event */
function whole(event) {
  const text = JSON.stringify(event, null, 1);
  return h("details", {}, h("summary", {}, t("audit.entries.event")), h("pre", { tabindex: "0" }, text));
}

/**
 * @param {number} first
 * @param {number} last
 */
const exported = (first, last) => `/api/audit/export?first=${Math.max(first, last - 4095)}&last=${last}`;
