/** The list of one's conversations: grouped by age, searchable, a drawer on a phone. */

import { byId, h } from "./dom.js";
import { age } from "./format.js";
import { t, tn } from "./i18n.js";
import { announce } from "./live.js";

/** @typedef {import("./api.js").Summary} Summary */

const SPEAK_MS = 700;
const NARROW = matchMedia("(max-width: 52rem)");

export class Sidebar {
  /** @param {() => void} startNew */
  constructor(startNew) {
    this.shell = byId("shell");
    this.sidebar = byId("sidebar");
    this.main = byId("main");
    this.opener = byId("nav-open");
    this.list = byId("conversation-list");
    /** @type {HTMLInputElement} */
    this.search = byId("search");
    /** @type {Summary[]} */
    this.conversations = [];
    /** @type {string | null} */
    this.current = null;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.speaking = undefined;
    this.#listen(startNew);
  }

  /** @param {() => void} startNew */
  #listen(startNew) {
    byId("new-conversation").addEventListener("click", startNew);
    byId("topbar-new").addEventListener("click", startNew);
    this.opener.addEventListener("click", () => this.#open());
    byId("nav-close").addEventListener("click", () => this.close());
    byId("scrim").addEventListener("click", () => this.close());
    NARROW.addEventListener("change", () => this.close());
    this.sidebar.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && this.#isOpen()) this.close();
    });
    this.search.addEventListener("input", () => {
      this.draw();
      clearTimeout(this.speaking);
      this.speaking = setTimeout(() => announce(tn("nav.found", this.#found().length)), SPEAK_MS);
    });
  }

  #isOpen() {
    return this.shell.classList.contains("nav-open");
  }

  #open() {
    this.shell.classList.add("nav-open");
    this.opener.setAttribute("aria-expanded", "true");
    this.main.inert = true;
    byId("nav-close").focus();
  }

  /** Close the drawer and give the focus back; on a wide page there is nothing to close. */
  close() {
    if (!this.#isOpen()) return;
    this.shell.classList.remove("nav-open");
    this.opener.setAttribute("aria-expanded", "false");
    this.main.inert = false;
    this.opener.focus();
  }

  /**
   * @param {Summary[]} conversations newest first
   * @param {string | null} current
   */
  show(conversations, current) {
    this.conversations = conversations;
    this.current = current;
    this.draw();
  }

  /** @param {string | null} current */
  mark(current) {
    this.current = current;
    this.draw();
  }

  #found() {
    const wanted = folded(this.search.value.trim());
    return this.conversations.filter(({ title }) => folded(title || t("conversation.untitled")).includes(wanted));
  }

  /** Build the list again, with the focus where it was. */
  draw() {
    byId("search-box").hidden = this.conversations.length === 0;
    const focused = document.activeElement instanceof HTMLAnchorElement ? document.activeElement.hash : null;
    const found = this.#found();
    if (found.length === 0) {
      const text = this.conversations.length === 0 ? t("nav.none") : t("nav.none_found");
      this.list.replaceChildren(h("p", { class: "nothing" }, text));
      return;
    }
    this.list.replaceChildren(...this.#groups(found));
    const again = [...this.list.querySelectorAll("a")].find(({ hash }) => hash === focused);
    again?.focus();
  }

  /** @param {Summary[]} found */
  #groups(found) {
    const now = new Date();
    /** @type {Map<string, Summary[]>} */
    const groups = new Map();
    for (const item of found) {
      const name = age(item.updated, now);
      groups.set(name, [...(groups.get(name) ?? []), item]);
    }
    return [...groups].flatMap(([name, items]) => [h("h2", {}, name), h("ul", {}, ...items.map((item) => this.#item(item)))]);
  }

  /** @param {Summary} item */
  #item({ id, title }) {
    const shown = title || t("conversation.untitled");
    const current = id === this.current ? "page" : undefined;
    return h("li", {}, h("a", { class: "conversation-link", href: `#/c/${id}`, title: shown, "aria-current": current }, shown));
  }
}

/**
 * Text for comparing: without case and accents.
 *
 * @param {string} text
 */
function folded(text) {
  return text.normalize("NFD").replace(/\p{M}/gu, "").toLocaleLowerCase();
}
