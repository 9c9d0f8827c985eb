/** The head of an open conversation: its title, which can be changed in place, its model, and its removal. */

import * as api from "./api.js";
import { confirm } from "./dialogs.js";
import { byId, h, icon, iconButton } from "./dom.js";
import { t } from "./i18n.js";
import { announce } from "./live.js";

const LONGEST_TITLE = 120;

/**
 * @typedef {{ renamed: (title: string) => void, removed: () => void, failed: (error: unknown) => void }} Listener
 * @typedef {{ id: string, title: string | null, model: string, waived: boolean }} Shown
 */

export class ConversationHead {
  /** @param {Listener} listener */
  constructor(listener) {
    this.listener = listener;
    this.place = byId("conversation-head");
    /** @type {Shown | null} */
    this.shown = null;
    this.editing = false;
  }

  /** @param {Shown | null} shown null when no conversation has begun */
  show(shown) {
    const before = this.shown;
    const same = shown !== null && shown.id === before?.id;
    const equal = same && shown.title === before?.title && shown.model === before?.model && shown.waived === before?.waived;
    this.shown = shown;
    document.title = shown ? `${shown.title || t("conversation.untitled")} – sovereign` : "sovereign";
    if (!(same && this.editing) && !equal) this.draw();
  }

  draw() {
    this.editing = false;
    if (this.shown === null) {
      this.place.replaceChildren();
      return;
    }
    const { title, model, waived } = this.shown;
    this.place.replaceChildren(
      h(
        "div",
        { class: "conversation-title" },
        h("h1", { id: "conversation-name", tabindex: -1 }, title || t("conversation.untitled")),
        h(
          "p",
          { class: "conversation-model" },
          h("span", {}, model),
          waived ? h("span", { class: "waived" }, "· ", icon("warning"), t("model.waived")) : null,
        ),
      ),
      iconButton("pencil", t("conversation.rename"), { id: "rename", onclick: () => this.#edit() }),
      iconButton("bin", t("conversation.delete"), { id: "delete", onclick: () => this.#remove() }),
    );
  }

  #edit() {
    if (this.shown === null) return;
    this.editing = true;
    const field = h("input", { class: "field", id: "title-field", "aria-label": t("conversation.title"), maxlength: LONGEST_TITLE });
    field.value = this.shown.title ?? "";
    const form = h(
      "form",
      { class: "title-form", onsubmit: (event) => this.#save(event, field.value.trim()) },
      field,
      h("button", { type: "submit", class: "button button-primary" }, t("conversation.save")),
      h("button", { type: "button", class: "button button-quiet", onclick: () => this.#done() }, t("dialog.cancel")),
    );
    form.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.stopPropagation();
      this.#done();
    });
    this.place.replaceChildren(h("h1", { class: "visually-hidden" }, this.shown.title || t("conversation.untitled")), form);
    field.focus();
    field.select();
  }

  #done() {
    this.draw();
    document.getElementById("rename")?.focus();
  }

  /**
   * @param {Event} event
   * @param {string} title
   */
  async #save(event, title) {
    event.preventDefault();
    const shown = this.shown;
    if (shown === null || title === "" || title === shown.title) {
      this.#done();
      return;
    }
    try {
      await api.rename(shown.id, title);
    } catch (error) {
      this.listener.failed(error);
      return;
    }
    this.shown = { ...shown, title };
    announce(t("conversation.renamed"));
    this.#done();
    this.listener.renamed(title);
  }

  async #remove() {
    const shown = this.shown;
    if (shown === null) return;
    const question = {
      title: t("delete.title"),
      text: t("delete.text", { title: shown.title || t("conversation.untitled") }),
      action: t("delete.action"),
      danger: true,
    };
    if (!(await confirm(question))) return;
    try {
      await api.remove(shown.id);
    } catch (error) {
      this.listener.failed(error);
      return;
    }
    announce(t("delete.done"));
    this.listener.removed();
  }
}
