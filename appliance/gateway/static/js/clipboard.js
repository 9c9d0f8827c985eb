/** Copying, with an answer the eye and the ear get: the icon turns into a tick, and the live region says so. */

import { icon, iconButton } from "./dom.js";
import { t } from "./i18n.js";
import { announce } from "./live.js";

const TICK_MS = 1600;

/**
 * Copy text; says aloud whether it worked.
 *
 * @param {string} text
 * @returns {Promise<boolean>}
 */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    announce(t("copy.failed"));
    return false;
  }
  announce(t("copy.done"));
  return true;
}

/**
 * @param {string} label
 * @param {() => string} textOf what to copy, asked for at the click
 */
export function copyButton(label, textOf) {
  const button = iconButton("copy", label, {
    onclick: async () => {
      if (!(await copy(textOf()))) return;
      button.replaceChildren(icon("check"));
      setTimeout(() => button.replaceChildren(icon("copy")), TICK_MS);
    },
  });
  return button;
}
