/** Earlier answers of a conversation that are gone from it and that experts still see: said, and taken back. */

import * as api from "./api.js";
import { h } from "./dom.js";
import { t } from "./i18n.js";
import { announce } from "./live.js";

export class SentBefore {
  /** @param {(error: unknown) => void} onError */
  constructor(onError) {
    this.onError = onError;
    /** @type {string[]} */
    this.ids = [];
    this.element = h("div", { class: "feedback-before" });
  }

  /** @param {string[] | undefined} ids of answers that are gone */
  show(ids) {
    this.ids = ids ?? [];
    this.draw();
  }

  /**
   * After another answer: what was sent of the one before it is still with the experts.
   *
   * @param {string} conversation
   * @param {() => boolean} still whether that conversation is shown
   */
  async look(conversation, still) {
    const kept = await api.conversation(conversation).catch(() => null);
    if (kept && still()) this.show(kept.sent_before);
  }

  draw() {
    this.element.hidden = this.ids.length === 0;
    this.element.replaceChildren(
      h("p", { class: "answer-note" }, t("feedback.sent_before")),
      h("button", { type: "button", class: "button button-quiet", onclick: () => this.#takeBack() }, t("feedback.sent_before.take_back")),
    );
  }

  async #takeBack() {
    try {
      for (const id of [...this.ids]) {
        await api.takeBackFeedback(id);
        this.ids = this.ids.filter((one) => one !== id);
      }
      announce(t("feedback.taken_back"));
    } catch (error) {
      this.onError(error);
    }
    this.draw();
  }
}
