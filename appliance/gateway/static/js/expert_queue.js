/** What waits for a ruling, in clusters named by their words. Arrow keys move, Enter opens. */

import { h } from "./dom.js";
import { t, tn } from "./i18n.js";

/**
 * @typedef {{ id: string, question: string, group: string, model: string, day: string, reasons: string[],
 *   corrected: boolean, standing: string }} Listed
 * @typedef {{ id: string, question: string, kind: string, expected: string[], version: number }} Case
 * @typedef {{ name: string, you: boolean, rulings: Record<string, number>, one_sided: boolean, count: number,
 *   kappa: number | null }} Expert
 * @typedef {{ clusters: Array<{ name: string[], failures: Listed[] }>, contradicting: string[][], blocked: Case[],
 *   offered: Case[], agreement: { count: number, observed: number, kappa: number | null }, experts: Expert[] }} Found
 */

export class Queue {
  /**
   * @param {HTMLElement} place
   * @param {(id: string) => void} onOpen
   */
  constructor(place, onOpen) {
    this.place = place;
    this.onOpen = onOpen;
    /** @type {HTMLButtonElement[]} */
    this.buttons = [];
    this.current = "";
    place.addEventListener("keydown", (event) => this.#move(event));
  }

  /** @param {Found} found */
  draw(found) {
    const focused = this.buttons.findIndex((button) => button === document.activeElement);
    const disputed = new Set(found.contradicting.flat());
    this.buttons = [];
    const clusters = found.clusters.map(({ name, failures }) =>
      h(
        "div",
        { class: "expert-cluster" },
        h("h3", {}, name.join(", ") || t("expert.cluster.unnamed"), h("span", {}, tn("expert.cluster", failures.length))),
        h("ul", {}, ...failures.map((one) => h("li", {}, this.#button(one, disputed.has(one.id))))),
      ),
    );
    this.place.replaceChildren(...(clusters.length > 0 ? clusters : [h("p", {}, t("expert.queue.none"))]));
    this.mark(this.current);
    if (focused >= 0) this.buttons[Math.min(focused, this.buttons.length - 1)]?.focus();
  }

  /**
   * @param {Listed} one
   * @param {boolean} contradicting
   */
  #button(one, contradicting) {
    const attention = [
      one.standing === "second" ? t("expert.standing.second") : "",
      one.standing === "disputed" ? t("expert.standing.disputed") : "",
      contradicting ? t("expert.contradicting") : "",
    ].filter((text) => text !== "");
    const button = h(
      "button",
      { type: "button", class: "expert-open", "data-id": one.id, onclick: () => this.onOpen(one.id) },
      one.question,
      h("small", {}, `${one.group} · ${one.day}`),
      attention.length > 0 && h("small", { class: "expert-attention" }, attention.join(" · ")),
    );
    this.buttons.push(button);
    return button;
  }

  /** @param {KeyboardEvent} event */
  #move(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const at = this.buttons.findIndex((button) => button === document.activeElement);
    if (step === undefined || at < 0) return;
    event.preventDefault();
    this.buttons[Math.min(Math.max(at + step, 0), this.buttons.length - 1)].focus();
  }

  /** @param {string} id */
  mark(id) {
    this.current = id;
    for (const button of this.buttons) button.setAttribute("aria-current", String(button.dataset.id === id));
  }

  /**
   * The one to open after `id`.
   *
   * @param {string} id
   */
  after(id) {
    const at = this.buttons.findIndex((button) => button.dataset.id === id);
    return (this.buttons[at + 1] ?? this.buttons[at - 1])?.dataset.id ?? null;
  }

  focus() {
    const open = this.buttons.find((button) => button.dataset.id === this.current);
    (open ?? this.buttons[0])?.focus();
  }
}
