/** Thumbs up or down on an answer, at once; then, for whoever wants to, what is behind it; and taking it all back. */

import * as api from "./api.js";
import { askForm } from "./ask_expert.js";
import { h, iconButton } from "./dom.js";
import { feedbackForm } from "./feedback_form.js";
import { t } from "./i18n.js";
import { announce } from "./live.js";

/** @typedef {"up" | "down"} Verdict */

export class FeedbackControl {
  /**
   * @param {string} messageId
   * @param {api.Feedback | null | undefined} given
   * @param {(error: unknown) => void} onError
   */
  constructor(messageId, given, onError) {
    this.messageId = messageId;
    /** @type {api.Feedback | null} */
    this.given = given ?? null;
    this.onError = onError;
    this.up = iconButton("up", t("feedback.up"), { onclick: () => this.#mark("up") });
    this.down = iconButton("down", t("feedback.down"), { onclick: () => this.#mark("down") });
    this.ask = h("button", { type: "button", class: "button button-quiet", onclick: () => this.#askExperts() }, t("ask.open"));
    this.buttons = [this.up, this.down, this.ask];
    this.place = h("div", { class: "feedback-place" });
    this.#show();
  }

  /** The thumbs as they were pressed, and whether experts see it. */
  #show() {
    this.up.setAttribute("aria-pressed", String(this.given?.verdict === "up"));
    this.down.setAttribute("aria-pressed", String(this.given?.verdict === "down"));
    const { send, asks, group } = this.given ?? {};
    const of = { group: group ?? "" };
    this.place.replaceChildren(...(send ? [h("p", { class: "answer-note" }, asks ? t("ask.sent", of) : t("feedback.sent", of))] : []));
  }

  /** Ask experts for the right answer: whose, and what they see, is said first. */
  async #askExperts() {
    const groups = await this.#groups();
    if (groups === null) return;
    const close = () => {
      this.#show();
      this.ask.focus();
    };
    const ask = async (/** @type {string} */ group) => {
      if (!(await this.#change({ verdict: "down", ...this.given, send: true, asks: true, group }))) return;
      announce(t("ask.sent", { group }));
      close();
    };
    const form = askForm(this.messageId, groups, { ask, close });
    this.place.replaceChildren(form);
    form.querySelector("button")?.focus();
  }

  /** @param {Verdict} verdict */
  async #mark(verdict) {
    if (this.given?.verdict !== verdict && !this.#saidMore()) {
      if (!(await this.#change({ verdict }))) return;
      announce(verdict === "up" ? t("feedback.up.done") : t("feedback.down.done"));
    }
    this.#ask(verdict);
  }

  /** Whether a click on the other thumb would throw away words: then nothing is changed before "Keep this". */
  #saidMore() {
    const { reasons, reason, correction, send } = this.given ?? {};
    return Boolean(reasons?.length || reason || correction || send);
  }

  /** @param {Verdict} verdict */
  async #ask(verdict) {
    const button = verdict === "up" ? this.up : this.down;
    const close = () => {
      this.#show();
      button.focus();
    };
    const groups = verdict === "down" ? await this.#groups() : [];
    if (groups === null) return;
    const form = feedbackForm(this.messageId, { ...this.given, verdict }, groups, {
      keep: async (said) => {
        if (!(await this.#change(said))) return;
        announce(said.send ? t("feedback.sent", { group: said.group ?? "" }) : t("feedback.thanks"));
        close();
      },
      takeBack: async () => {
        if (!(await this.#change(null))) return;
        announce(t("feedback.taken_back"));
        close();
      },
      close,
    });
    this.place.replaceChildren(form);
    form.querySelector("textarea")?.focus();
    form.scrollIntoView({ block: "nearest" });
  }

  /** Whose experts may see it; null where that cannot be told now: then nothing is asked, and nothing changed. */
  async #groups() {
    try {
      return await api.feedbackGroups(this.messageId);
    } catch (error) {
      this.onError(error);
      return null;
    }
  }

  /** @param {api.Feedback | null} said */
  async #change(said) {
    try {
      if (said === null) await api.takeBackFeedback(this.messageId);
      else await api.giveFeedback(this.messageId, said);
    } catch (error) {
      this.onError(error);
      return false;
    }
    this.given = said;
    this.#show();
    return true;
  }
}
