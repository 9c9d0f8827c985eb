/** Whether experts may see an answer, of which group, and what they will see: said beside the tick. */

import { h, icon } from "./dom.js";
import { t } from "./i18n.js";

/**
 * The part of the form that sends; without a group that may know what is in the answer, it says so and sends nothing.
 *
 * @param {string} messageId
 * @param {string[]} groups whose experts it may be sent to
 * @param {import("./api.js").Feedback} given
 */
export function sendPart(messageId, groups, given) {
  const left = Boolean(given.send && given.group && !groups.includes(given.group));
  const gone = left && h("p", { class: "answer-note" }, t("feedback.share.gone", { group: given.group ?? "" }));
  if (groups.length === 0) {
    const none = h("p", { class: "answer-note" }, t("feedback.share.none"));
    return { element: h("div", { class: "feedback-send" }, gone, none), said: () => ({}) };
  }
  const input = h("input", { type: "checkbox", name: "send", checked: Boolean(given.send) && !left });
  const words = h("span", {});
  const which = h("select", { id: `feedback-group-${messageId}` });
  which.replaceChildren(
    ...groups.map((name) => h("option", { value: name, selected: name === given.group }, name)),
  );
  const write = () => (words.textContent = t("feedback.share", { group: which.value }));
  which.addEventListener("change", write);
  write();
  const tick = h("label", { class: "feedback-choice" }, input, words);
  const choice = h(
    "div",
    { class: "feedback-group" },
    h("label", { for: which.id }, t("feedback.group")),
    h("span", { class: "select" }, which, icon("chevron")),
  );
  return {
    element: h("div", { class: "feedback-send" }, gone, groups.length > 1 && choice, tick),
    said: () => (input.checked ? { send: true, group: which.value, ...(given.asks ? { asks: true } : {}) } : {}),
  };
}
