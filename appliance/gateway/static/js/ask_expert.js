/** Asking experts of a group about an answer: whose, and what they will see, said before anything is sent. */

import { h, icon } from "./dom.js";
import { t } from "./i18n.js";

/**
 * @param {string} messageId
 * @param {string[]} groups whose experts may be asked; with none, it says so and sends nothing
 * @param {{ ask: (group: string) => void, close: () => void }} acts
 */
export function askForm(messageId, groups, { ask, close }) {
  const which = h("select", { id: `ask-group-${messageId}` });
  which.replaceChildren(...groups.map((name) => h("option", { value: name }, name)));
  const words = h("p", {}, "");
  const write = () => (words.textContent = t("ask.shows", { group: which.value }));
  which.addEventListener("change", write);
  write();
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    ask(which.value);
  };
  const closing = h("button", { type: "button", class: "button button-quiet", onclick: close }, t("feedback.close"));
  if (groups.length === 0) return h("div", { class: "feedback" }, h("p", { class: "answer-note" }, t("feedback.share.none")), closing);
  const choice = h(
    "div",
    { class: "feedback-group" },
    h("label", { for: which.id }, t("feedback.group")),
    h("span", { class: "select" }, which, icon("chevron")),
  );
  const form = h(
    "form",
    { class: "feedback", onsubmit: submit },
    groups.length > 1 && choice,
    words,
    h("div", { class: "row" }, h("button", { type: "submit", class: "button button-primary" }, t("ask.send")), closing),
  );
  form.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    event.stopPropagation();
    close();
  });
  return form;
}
