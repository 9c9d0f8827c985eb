/**
 * Whom pseudonyms stand for: asked for only while the switch is on, which only auditors who may see names have. Names
 * stay in this page's memory, and go when the switch is turned off; each asking is an entry of the log.
 */

import * as api from "./api.js";

export const NAMES_ROLE = "auditor-names";
const MOST = 32;
const PSEUDONYM = /^[0-9a-f]{32}$/;

export class Names {
  /**
   * @param {HTMLElement} place the switch with its label
   * @param {boolean} allowed
   */
  constructor(place, allowed) {
    this.box = /** @type {HTMLInputElement} */ (place.querySelector("input"));
    this.allowed = allowed;
    place.hidden = !allowed;
    this.box.checked = false;
    /** @type {Map<string, string | null>} */
    this.known = new Map();
  }

  /** @param {() => void} changed called when the switch was turned */
  onSwitch(changed) {
    this.box.addEventListener("change", () => {
      if (!this.on) this.known.clear();
      changed();
    });
  }

  get on() {
    return this.allowed && this.box.checked;
  }

  /**
   * Ask for those that are not known yet, if the switch is on.
   *
   * @param {Array<string | null>} subjects
   */
  async learn(subjects) {
    if (!this.on) return;
    const asked = subjects.filter((one) => one !== null && PSEUDONYM.test(one) && !this.known.has(one));
    const left = /** @type {string[]} */ ([...new Set(asked)]);
    while (left.length > 0) {
      const { names } = await api.audit("names", { subjects: left.splice(0, MOST).join(",") });
      if (!this.on) return;
      for (const [subject, name] of Object.entries(names)) this.known.set(subject, name);
    }
  }

  /**
   * The name; null of whoever was erased; undefined where nothing is to be said.
   *
   * @param {string} subject
   * @returns {string | null | undefined}
   */
  of(subject) {
    return this.on ? this.known.get(subject) : undefined;
  }
}
