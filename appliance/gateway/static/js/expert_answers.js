/** What experts answered: beside the answer that was asked about, and all together; new ones are counted until seen. */

import * as api from "./api.js";
import { openDrawer } from "./dialogs.js";
import { byId, h } from "./dom.js";
import { day } from "./format.js";
import { t, tn } from "./i18n.js";

/** @typedef {import("./api.js").ExpertAnswer} ExpertAnswer */

/**
 * Answers as they stand in a conversation. Their words are text, whatever is in them.
 *
 * @param {ExpertAnswer[]} answers
 */
export function answersOf(answers) {
  if (answers.length === 0) return null;
  return h("div", { class: "expert-answers" }, ...answers.map((one) => shown(one)));
}

/**
 * @param {ExpertAnswer} one
 * @param {...(Node | string)} more
 */
function shown({ group, answer, created }, ...more) {
  return h(
    "section",
    { class: "expert-answer" },
    h("h3", {}, t("experts.answered", { group })),
    h("p", { class: "expert-answer-words" }, answer),
    h("p", { class: "answer-note" }, day(created), ...more),
  );
}

export class ExpertAnswers {
  /**
   * @param {number} unseen
   * @param {(error: unknown) => void} onError
   */
  constructor(unseen, onError) {
    this.unseen = unseen;
    this.onError = onError;
    for (const id of ["expert-answers-new", "expert-answers-all"]) byId(id).addEventListener("click", () => this.#open());
    this.draw();
  }

  draw() {
    const badge = byId("expert-answers-new");
    badge.hidden = this.unseen === 0;
    badge.textContent = tn("experts.new", this.unseen);
  }

  /**
   * These are on the page now.
   *
   * @param {ExpertAnswer[]} answers
   */
  async see(answers) {
    const fresh = answers.filter(({ seen }) => !seen);
    if (fresh.length === 0) return;
    try {
      await api.seeExpertAnswers(fresh.map(({ id }) => id));
    } catch (error) {
      this.onError(error);
      return;
    }
    for (const one of fresh) one.seen = true;
    this.unseen = Math.max(0, this.unseen - fresh.length);
    this.draw();
  }

  async #open() {
    try {
      const answers = await api.expertAnswers();
      const body = answers.map((one) => h("div", {}, h("p", { class: "expert-answer-question" }, one.question ?? ""), shown(one, there(one))));
      openDrawer({ title: t("experts.title"), body: body.length > 0 ? body : [h("p", {}, t("experts.none"))], foot: [] });
      await this.see(answers);
    } catch (error) {
      this.onError(error);
    }
  }
}

/** @param {ExpertAnswer} one */
const there = ({ conversation_id: id }) => (id ? h("a", { href: `#/c/${encodeURIComponent(id)}` }, t("experts.conversation")) : "");
