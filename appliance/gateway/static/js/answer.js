/** One answer in the conversation: its text as it grows, how it ended, and what can be done with it. */

import { copyButton } from "./clipboard.js";
import { confidenceLine } from "./confidence.js";
import { h, icon, iconButton } from "./dom.js";
import { answersOf } from "./expert_answers.js";
import { FeedbackControl } from "./feedback.js";
import { duration, number } from "./format.js";
import { t, tn } from "./i18n.js";
import { describe, noticeElement } from "./notices.js";
import { Prose } from "./prose.js";
import { openReceipt, totalMs } from "./receipt.js";
import { cite } from "./sources.js";

/**
 * What an answer needs of the conversation around it.
 *
 * @typedef {{ retry: (answer: Answer) => void, failed: (error: unknown) => void }} Surroundings
 */

/** A stream may bring dozens of tokens between two frames: they are drawn together. */
const DRAW_MS = 50;

export class Answer {
  /** @param {Surroundings} around */
  constructor(around) {
    this.around = around;
    /** @type {import("./api.js").Message} */
    this.message = { id: "", role: "assistant", content: "" };
    this.prose = new Prose();
    this.heading = h("h2", { class: "visually-hidden" }, t("thread.answer"));
    this.status = h("p", { class: "waiting" }, t("thread.waiting"));
    this.tail = h("div");
    this.element = h("li", { class: "turn turn-answer" }, this.heading, this.prose.element, this.status, this.tail);
    this.element.setAttribute("aria-busy", "true");
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.drawing = undefined;
  }

  /**
   * An answer that is already finished.
   *
   * @param {import("./api.js").Message} message
   * @param {Surroundings} around
   * @param {boolean} last whether it is the last message, which alone can be tried again
   */
  static finished(message, around, last) {
    const answer = new Answer(around);
    answer.message = message;
    answer.finish(last);
    return answer;
  }

  /** @param {string} text */
  append(text) {
    this.message.content += text;
    this.status.remove();
    this.drawing ??= setTimeout(() => this.#draw(), DRAW_MS);
  }

  /**
   * There is more of it, which is shown once it was judged.
   *
   * @param {number} tokens
   */
  held(tokens) {
    this.status.textContent = tn("answer.held", tokens);
  }

  #draw() {
    clearTimeout(this.drawing);
    this.drawing = undefined;
    this.prose.show(this.message.content);
  }

  /**
   * The text is complete: show how it ended, the receipt and the actions.
   *
   * @param {boolean} last whether it is the last message, which alone can be tried again
   * @param {boolean} [broken] it broke off, and a notice says why
   */
  finish(last, broken = false) {
    this.#draw();
    this.status.remove();
    this.element.removeAttribute("aria-busy");
    const note = broken ? "" : endNote(this.message.finish_reason);
    const feedback = this.message.id ? new FeedbackControl(this.message.id, this.message.feedback, this.around.failed) : null;
    const sources = cite(this.prose, this.message, this.around.failed);
    const actions = [
      this.message.content ? copyButton(t("answer.copy"), () => this.message.content) : null,
      last && this.message.id ? iconButton("retry", t("answer.retry"), { onclick: () => this.around.retry(this) }) : null,
      ...(feedback?.buttons ?? []),
      this.message.receipt ? receiptButton(this.message.receipt, this.message.content) : null,
    ];
    this.tail.replaceChildren(
      ...[
        note ? h("p", { class: "answer-note" }, note) : "",
        sources ?? "",
        confidenceLine(this.message.receipt?.confidence) ?? "",
        h("div", { class: "answer-foot", role: "group", "aria-label": t("answer.actions") }, ...actions),
        feedback?.place ?? "",
        answersOf(this.message.expert_answers ?? []) ?? "",
      ],
    );
  }

  /**
   * The answer broke off: what there is of it stays, with the reason below.
   *
   * @param {unknown} error
   */
  breakOff(error) {
    this.finish(true, true);
    this.tail.prepend(noticeElement(describe(error)));
  }
}

/** @param {string | null | undefined} reason */
function endNote(reason) {
  if (reason === "length") return t("answer.length");
  if (reason === "cancelled") return t("answer.cancelled");
  if (reason === "interrupted" || reason === "error") return t("answer.interrupted");
  return reason ? "" : t("answer.unfinished");
}

/**
 * The line under an answer that says what it came from; it opens the receipt.
 *
 * @param {import("./receipt.js").Receipt} receipt
 * @param {string} content
 */
function receiptButton(receipt, content) {
  const tokens = receipt.usage?.completion_tokens;
  const total = totalMs(receipt.timing);
  const position = receipt.log?.answer_index;
  const parts = [
    tokens === undefined ? null : tn("answer.tokens", tokens),
    total === null ? null : duration(total),
    position === undefined ? null : t("answer.position", { position: number(position) }),
  ].filter((part) => part !== null);
  const waived = (receipt.model?.waivers ?? []).length > 0;
  return h(
    "button",
    { type: "button", class: "receipt-button", "aria-haspopup": "dialog", onclick: () => openReceipt(receipt, content) },
    icon("receipt"),
    h(
      "span",
      {},
      h("span", { class: "visually-hidden" }, t("answer.receipt"), " "),
      h("span", { class: "name" }, receipt.model?.name ?? t("answer.receipt")),
      parts.length > 0 ? ` · ${parts.join(" · ")}` : "",
      waived ? " · " : "",
      waived ? h("span", { class: "waived" }, icon("warning"), t("model.waived")) : null,
    ),
  );
}
