/** Thumbs up or down on an answer, at once; then, for whoever wants to, the reason. */

import * as api from "./api.js";
import { h, iconButton } from "./dom.js";
import { t } from "./i18n.js";
import { announce } from "./live.js";

const LONGEST_REASON = 2000;

/** @typedef {"up" | "down"} Verdict */

export class FeedbackControl {
  /**
   * @param {string} messageId
   * @param {api.Feedback | null | undefined} given
   * @param {(error: unknown) => void} onError
   */
  constructor(messageId, given, onError) {
    this.messageId = messageId;
    this.verdict = given?.verdict ?? null;
    this.reason = given?.reason ?? "";
    this.onError = onError;
    this.up = iconButton("up", t("feedback.up"), { onclick: () => this.#mark("up") });
    this.down = iconButton("down", t("feedback.down"), { onclick: () => this.#mark("down") });
    this.buttons = [this.up, this.down];
    this.place = h("div", { class: "feedback-place" });
    this.#showVerdict();
  }

  #showVerdict() {
    this.up.setAttribute("aria-pressed", String(this.verdict === "up"));
    this.down.setAttribute("aria-pressed", String(this.verdict === "down"));
  }

  /** @param {Verdict} verdict */
  async #mark(verdict) {
    if (verdict !== this.verdict) this.reason = "";
    if (!(await this.#put(verdict, this.reason))) return;
    announce(verdict === "up" ? t("feedback.up.done") : t("feedback.down.done"));
    this.#askReason(verdict);
  }

  /**
   * @param {Verdict} verdict
   * @param {string} reason
   */
  async #put(verdict, reason) {
    try {
      await api.giveFeedback(this.messageId, reason ? { verdict, reason } : { verdict });
    } catch (error) {
      this.onError(error);
      return false;
    }
    this.verdict = verdict;
    this.reason = reason;
    this.#showVerdict();
    return true;
  }

  /** @param {Verdict} verdict */
  #askReason(verdict) {
    const id = `reason-${this.messageId}`;
    const field = h("textarea", { id, class: "field", rows: 3, maxlength: LONGEST_REASON });
    field.value = this.reason;
    const button = verdict === "up" ? this.up : this.down;
    const close = () => {
      this.place.replaceChildren();
      button.focus();
    };
    const submit = async (/** @type {Event} */ event) => {
      event.preventDefault();
      if (!(await this.#put(verdict, field.value.trim()))) return;
      announce(t("feedback.thanks"));
      close();
    };
    const form = h(
      "form",
      { class: "feedback", onsubmit: submit },
      h("label", { for: id }, verdict === "up" ? t("feedback.why.up") : t("feedback.why.down")),
      field,
      h(
        "div",
        { class: "row" },
        h("button", { type: "submit", class: "button button-primary" }, t("feedback.send")),
        h("button", { type: "button", class: "button button-quiet", onclick: close }, t("feedback.skip")),
      ),
    );
    form.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.stopPropagation();
      close();
    });
    this.place.replaceChildren(form);
    field.focus();
    form.scrollIntoView({ block: "nearest" });
  }
}
