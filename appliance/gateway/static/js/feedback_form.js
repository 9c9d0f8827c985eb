/** What is behind a thumb: reasons of a short list, words, a correction; and whether experts may see it. */

import { h } from "./dom.js";
import { sendPart } from "./feedback_send.js";
import { t } from "./i18n.js";

const LONGEST = 4000;

/**
 * @typedef {import("./api.js").Feedback} Feedback
 * @typedef {{ keep: (said: Feedback) => void, takeBack: () => void, close: () => void }} Acts
 */

/** Reasons in the order in which they are offered. */
const REASONS = () => [
  ["wrong", t("feedback.reason.wrong")],
  ["incomplete", t("feedback.reason.incomplete")],
  ["off_topic", t("feedback.reason.off_topic")],
  ["refused", t("feedback.reason.refused")],
  ["language", t("feedback.reason.language")],
  ["unclear", t("feedback.reason.unclear")],
];

/**
 * The form; Escape closes it, and what was not kept is gone.
 *
 * @param {string} messageId
 * @param {Feedback} given
 * @param {string[]} groups whose experts it may be sent to
 * @param {Acts} acts
 */
export function feedbackForm(messageId, given, groups, { keep, takeBack, close }) {
  const down = given.verdict === "down";
  const reason = textField(`reason-${messageId}`, given.reason);
  const correction = textField(`correction-${messageId}`, given.correction);
  const boxes = REASONS().map(([code, label]) => checkbox(code, label, given.reasons?.includes(code) ?? false));
  const send = sendPart(messageId, groups, given);
  const said = () => {
    /** @type {Feedback} */
    const found = { verdict: given.verdict };
    const reasons = boxes.filter(({ input }) => input.checked).map(({ input }) => input.name);
    if (down && reasons.length > 0) found.reasons = reasons;
    if (reason.value.trim()) found.reason = reason.value.trim();
    if (down && correction.value.trim()) found.correction = correction.value.trim();
    return down ? { ...found, ...send.said() } : found;
  };
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    keep(said());
  };
  const form = h(
    "form",
    { class: "feedback", onsubmit: submit },
    down && h("fieldset", { class: "feedback-reasons" }, h("legend", {}, t("feedback.reasons")), ...boxes.map(({ row }) => row)),
    h("label", { for: reason.id }, down ? t("feedback.why.down") : t("feedback.why.up")),
    reason,
    down && h("label", { for: correction.id }, t("feedback.correction")),
    down && correction,
    down && send.element,
    h(
      "div",
      { class: "row" },
      h("button", { type: "submit", class: "button button-primary" }, t("feedback.keep")),
      h("button", { type: "button", class: "button button-quiet", onclick: close }, t("feedback.close")),
      h("button", { type: "button", class: "button button-quiet", onclick: takeBack }, t("feedback.take_back")),
    ),
  );
  form.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    event.stopPropagation();
    close();
  });
  return form;
}

/**
 * @param {string} id
 * @param {string | null | undefined} value
 */
function textField(id, value) {
  const field = h("textarea", { id, class: "field", rows: 2, maxlength: LONGEST });
  field.value = value ?? "";
  return field;
}

/**
 * @param {string} name
 * @param {string} label
 * @param {boolean} checked
 */
function checkbox(name, label, checked) {
  const input = h("input", { type: "checkbox", name, checked });
  return { input, row: h("label", { class: "feedback-choice" }, input, h("span", {}, label)) };
}
