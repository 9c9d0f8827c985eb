/** The case that an expert makes of a failure: what can be checked of every later answer to the question. */

import { h, icon } from "./dom.js";
import { language, t } from "./i18n.js";

export class CaseForm {
  /** @param {() => string} answer what the expert answers whoever asked: what a case expects, unless they say otherwise */
  constructor(answer) {
    this.answer = answer;
    this.wanted = h("input", { type: "checkbox", id: "expert-case-wanted" });
    this.question = h("textarea", { id: "expert-case-question", class: "field", rows: 2, maxlength: 4000 });
    this.kind = h("select", { id: "expert-case-kind" });
    this.expected = h("textarea", { id: "expert-case-expected", class: "field", rows: 3, maxlength: 4000 });
    this.vital = h("input", { type: "checkbox", id: "expert-case-vital" });
    this.documents = h("input", { type: "checkbox", id: "expert-case-documents" });
    this.decided = h("input", { type: "checkbox", id: "expert-case-decided" });
    this.kindChosen = "contains";
    this.contradicted = false;
    this.part = h("div", { class: "expert-case", hidden: true });
    this.decision = h("div", {});
    this.wanted.addEventListener("change", () => {
      if (this.wanted.checked && this.expected.value.trim() === "") this.expected.value = this.answer().trim();
      this.#show();
    });
    this.kind.addEventListener("change", () => {
      this.kindChosen = this.kind.value;
    });
  }

  /** @param {import("./expert_failure.js").Failure} failure */
  open(failure) {
    this.wanted.checked = false;
    this.question.value = failure.question.slice(0, 4000);
    this.kindChosen = "contains";
    this.expected.value = failure.correction ?? "";
    this.vital.checked = false;
    this.documents.checked = failure.documents;
    this.decided.checked = false;
    this.contradicted = false;
  }

  askToDecide() {
    this.contradicted = true;
    this.#show();
    this.decided.focus();
  }

  draw() {
    const kinds = [
      ["contains", t("expert.case.contains")],
      ["exact", t("expert.case.exact")],
      ["refusal", t("expert.case.refusal")],
      ["language", t("expert.case.language")],
      ["cited", t("expert.case.cited")],
    ];
    this.kind.replaceChildren(...kinds.map(([value, name]) => h("option", { value, selected: value === this.kindChosen }, name)));
    this.part.replaceChildren(
      h("label", { for: this.question.id }, t("expert.case.question")),
      this.question,
      h("p", {}, t("expert.case.reword")),
      h("label", { for: this.kind.id }, t("expert.case.kind")),
      h("span", { class: "select" }, this.kind, icon("chevron")),
      h("label", { for: this.expected.id }, t("expert.case.expected")),
      this.expected,
      h("label", { class: "feedback-choice" }, this.vital, h("span", {}, t("expert.case.vital"))),
      h("label", { class: "feedback-choice" }, this.documents, h("span", {}, t("expert.case.documents"))),
      this.decision,
    );
    this.decision.replaceChildren(h("label", { class: "feedback-choice" }, this.decided, h("span", {}, t("expert.case.decided"))));
    this.#show();
    return h(
      "div",
      {},
      h("label", { class: "feedback-choice" }, this.wanted, h("span", {}, t("expert.case.make"))),
      this.part,
    );
  }

  #show() {
    this.part.hidden = !this.wanted.checked;
    this.decision.hidden = !this.contradicted;
  }

  /** The case as it is kept; null where none is wanted. */
  said() {
    if (!this.wanted.checked) return null;
    const lines = this.expected.value.split("\n").map((line) => line.trim());
    return {
      question: this.question.value.trim(),
      kind: this.kind.value,
      expected: lines.filter((line) => line !== ""),
      vital: this.vital.checked,
      documents: this.documents.checked,
      language: language(),
      decided: this.decided.checked,
    };
  }
}
