/** Modal questions on the native dialog element: it holds the focus, closes on Esc, and gives the focus back. */

import { h, iconButton } from "./dom.js";
import { t } from "./i18n.js";

let count = 0;

/**
 * Ask before something that cannot be undone. The safe answer has the focus.
 *
 * @param {{ title: string, text: string, action: string, danger?: boolean, dismiss?: string }} question
 * @returns {Promise<boolean>} true when the action was chosen
 */
export function confirm({ title, text, action, danger = false, dismiss = t("dialog.cancel") }) {
  const { promise, settle } = answerOnce();
  const id = nextId();
  const cancel = h("button", { type: "button", class: "button", autofocus: danger, onclick: () => dialog.close() }, dismiss);
  const style = danger ? "button button-danger" : "button button-primary";
  const go = h("button", { type: "button", class: style, autofocus: !danger, onclick: () => dialog.close("yes") }, action);
  const dialog = h(
    "dialog",
    { class: "ask", "aria-labelledby": `${id}-title`, "aria-describedby": `${id}-text` },
    h(
      "div",
      { class: "ask-body" },
      h("h2", { id: `${id}-title` }, title),
      h("p", { id: `${id}-text` }, text),
      h("div", { class: "row row-end" }, cancel, go),
    ),
  );
  show(dialog, () => settle(dialog.returnValue === "yes"));
  return promise;
}

/**
 * A panel that slides in from the side.
 *
 * @param {{ title: string, body: Node[], foot: Node[] }} content
 */
export function openDrawer({ title, body, foot }) {
  const id = nextId();
  const heading = h("h2", { id, tabindex: -1, autofocus: true }, title);
  const dialog = h(
    "dialog",
    { class: "drawer", "aria-labelledby": id },
    h("div", { class: "drawer-head" }, heading, iconButton("close", t("dialog.close"), { onclick: () => dialog.close() })),
    h("div", { class: "drawer-body", tabindex: 0, role: "group", "aria-labelledby": id }, ...body),
    h("div", { class: "drawer-foot" }, ...foot),
  );
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });
  show(dialog, () => {});
}

/** True while a dialog or a menu is open: Esc belongs to it then. */
export const somethingOpen = () => document.querySelector("dialog[open], [popover]:popover-open") !== null;

/**
 * @param {HTMLDialogElement} dialog
 * @param {() => void} closed
 */
function show(dialog, closed) {
  dialog.addEventListener("close", () => {
    dialog.remove();
    closed();
  });
  document.body.append(dialog);
  dialog.showModal();
}

function nextId() {
  count += 1;
  return `dialog-${count}`;
}

function answerOnce() {
  /** @type {(value: boolean) => void} */
  let settle = () => {};
  /** @type {Promise<boolean>} */
  const promise = new Promise((resolve) => {
    settle = resolve;
  });
  return { promise, settle };
}
