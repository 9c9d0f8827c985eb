/** Fields of the auditors' forms. */

import { h } from "./dom.js";

const DAY_MS = 86_400_000;

/**
 * @param {string} label
 * @param {{ name: string, type?: string, value?: string }} input
 */
export function field(label, { name, type = "text", value = "" }) {
  return h("label", { class: "auditor-field" }, label, h("input", { name, type, value, autocomplete: "off", spellcheck: "false", maxlength: 200 }));
}

/** @param {number} [days] from today, in UTC, as the log counts */
export const today = (days = 0) => new Date(Date.now() + days * DAY_MS).toISOString().slice(0, 10);
