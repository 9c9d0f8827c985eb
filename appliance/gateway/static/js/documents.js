/** The switch beside the composer: whether answers are to be from documents. It remembers, in this browser. */

import { byId } from "./dom.js";

const KEY = "sovereign.documents";

/** @param {boolean} offered whether there are documents that this person can be answered from */
export function offerDocuments(offered) {
  const box = byId("documents-switch");
  const field = /** @type {HTMLInputElement} */ (byId("use-documents"));
  box.hidden = !offered;
  field.checked = offered && remembered();
  field.addEventListener("change", () => remember(field.checked));
}

/** Whether the next question is to be answered from documents. */
export function documentsWanted() {
  return !byId("documents-switch").hidden && /** @type {HTMLInputElement} */ (byId("use-documents")).checked;
}

function remembered() {
  try {
    return localStorage.getItem(KEY) === "on";
  } catch {
    return false;
  }
}

/** @param {boolean} on */
function remember(on) {
  try {
    localStorage.setItem(KEY, on ? "on" : "off");
  } catch {
    // Storage is switched off: the choice holds until the page is closed.
  }
}
