/** One failure: what was asked and answered, and the expert's ruling. Keys 1, 2, 3 choose; Ctrl+Enter keeps. */

import { h } from "./dom.js";
import { CaseForm } from "./expert_case.js";
import { t } from "./i18n.js";

/**
 * @typedef {{ id: string, question: string, answer: string, reasons: string[], reason: string | null,
 *   correction: string | null, documents: boolean, ruling: string | null, note: string | null,
 *   asks?: boolean, answer_given?: string | null, others_answered?: string[], others: Array<{ ruling: string, note: string | null }> }} Failure
 */

const RULINGS = ["right", "wrong", "unclear"];

export class OpenFailure {
  /**
   * @param {HTMLElement} place
   * @param {(id: string, said: object) => void} onRule
   * @param {() => void} onLeave
   */
  constructor(place, onRule, onLeave) {
    this.place = place;
    this.onRule = onRule;
    this.onLeave = onLeave;
    /** @type {Failure | null} */
    this.shown = null;
    /** @type {HTMLInputElement[]} */
    this.choices = [];
    this.cases = new CaseForm(() => this.answer.value);
    this.answer = h("textarea", { id: "expert-answer", class: "field", rows: 3, maxlength: 4000 });
    this.note = h("textarea", { id: "expert-note", class: "field", rows: 2, maxlength: 4000 });
    document.addEventListener("keydown", (event) => this.#key(event));
  }

  /** @param {Failure} shown */
  open(shown) {
    this.shown = shown;
    this.note.value = shown.note ?? "";
    this.answer.value = shown.answer_given ?? "";
    this.cases.open(shown);
    this.choices = [];
    this.draw();
  }

  close() {
    this.shown = null;
    this.draw();
  }

  /**
   * Something contradicts the case: it is kept only once the expert says that it stands. Their ruling is kept, so what
   * others ruled is shown.
   *
   * @param {Failure | null} ruled the failure as it is now
   */
  askToDecide(ruled) {
    if (ruled !== null && ruled.id === this.shown?.id) {
      this.shown = ruled;
      this.draw();
    }
    this.cases.askToDecide();
  }

  draw() {
    const shown = this.shown;
    if (shown === null) {
      this.place.replaceChildren(h("p", {}, t("expert.failure.none")));
      return;
    }
    const chosen = this.choices.find((choice) => choice.checked)?.value ?? shown.ruling;
    this.choices = RULINGS.map((value) =>
      h("input", { type: "radio", name: "ruling", value, checked: value === chosen, required: true }),
    );
    const labels = [t("expert.ruling.right"), t("expert.ruling.wrong"), t("expert.ruling.unclear")];
    const rows = this.choices.map((input, index) =>
      h("label", { class: "feedback-choice" }, input, h("span", {}, `${index + 1} ${labels[index]}`)),
    );
    const submit = (/** @type {Event} */ event) => {
      event.preventDefault();
      this.#submit();
    };
    this.place.replaceChildren(
      said(shown),
      h(
        "form",
        { class: "expert-form", id: "expert-form", onsubmit: submit },
        h("fieldset", {}, h("legend", {}, t("expert.ruling.legend")), h("div", { class: "expert-choices" }, ...rows)),
        h("label", { for: this.note.id }, t("expert.note")),
        this.note,
        h("label", { for: this.answer.id }, shown.asks ? t("expert.answer.asked") : t("expert.answer")),
        this.answer,
        this.cases.draw(),
        h("div", { class: "row" }, h("button", { type: "submit", class: "button button-primary" }, t("expert.keep"))),
      ),
    );
  }

  #submit() {
    const ruling = this.choices.find((choice) => choice.checked)?.value;
    if (this.shown === null || ruling === undefined) return;
    const made = this.cases.said();
    const note = this.note.value.trim();
    const answer = this.answer.value.trim();
    this.onRule(this.shown.id, { ruling, ...(note ? { note } : {}), ...(answer ? { answer } : {}), ...(made === null ? {} : { case: made }) });
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (this.shown === null) return;
    const writing = event.target instanceof HTMLTextAreaElement || event.target instanceof HTMLSelectElement;
    if (event.key === "Enter" && event.ctrlKey) {
      event.preventDefault();
      /** @type {HTMLFormElement | null} */ (document.getElementById("expert-form"))?.requestSubmit();
    } else if (event.key === "Escape") {
      this.onLeave();
    } else if (!writing && !event.ctrlKey && !event.altKey && !event.metaKey && ["1", "2", "3"].includes(event.key)) {
      const choice = this.choices[Number(event.key) - 1];
      choice.checked = true;
      choice.focus();
    }
  }
}

/** @param {Failure} shown */
function said(shown) {
  const words = {
    wrong: t("feedback.reason.wrong"),
    incomplete: t("feedback.reason.incomplete"),
    off_topic: t("feedback.reason.off_topic"),
    refused: t("feedback.reason.refused"),
    language: t("feedback.reason.language"),
    unclear: t("feedback.reason.unclear"),
  };
  const rulings = { right: t("expert.ruling.right"), wrong: t("expert.ruling.wrong"), unclear: t("expert.ruling.unclear") };
  const reasons = shown.reasons.map((code) => words[/** @type {keyof words} */ (code)] ?? code);
  const others = shown.others.map(({ ruling, note }) => {
    const name = rulings[/** @type {keyof rulings} */ (ruling)] ?? ruling;
    return note ? `${name}: ${note}` : name;
  });
  const rows = [
    [t("expert.said.question"), shown.question],
    [t("expert.said.answer"), shown.answer],
    [t("feedback.reasons"), reasons.join(", ")],
    [t("expert.said.reason"), shown.reason],
    [t("expert.said.correction"), shown.correction],
    [t("expert.said.others"), others.join("\n")],
    [t("expert.said.answered"), (shown.others_answered ?? []).join("\n")],
  ].filter(([, text]) => text);
  return h("dl", { class: "expert-said" }, ...rows.flatMap(([name, text]) => [h("dt", {}, name), h("dd", {}, text)]));
}
