/** Where a question is written: Enter sends, Shift+Enter breaks the line, Esc stops; the draft survives everything. */

import { byId, h, icon } from "./dom.js";
import { draft, keepDraft } from "./drafts.js";
import { somethingOpen } from "./dialogs.js";
import { t } from "./i18n.js";

/**
 * @typedef {import("./api.js").Model} Model
 * @typedef {{ ask: (question: string) => void, stop: () => void }} Actions
 */

export class Composer {
  /** @param {Actions} actions */
  constructor(actions) {
    this.actions = actions;
    this.form = byId("composer");
    /** @type {HTMLTextAreaElement} */
    this.field = byId("question");
    this.grow = byId("grow");
    /** @type {HTMLButtonElement} */
    this.sendButton = byId("send");
    this.stopButton = byId("stop");
    this.pick = byId("model-pick");
    this.key = "";
    this.running = false;
    this.blocked = false;
    /** The model that a new conversation gets. */
    this.model = "";
    this.#listen();
  }

  #listen() {
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#send();
    });
    this.field.addEventListener("input", () => this.#typed());
    this.field.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.#send();
    });
    this.stopButton.addEventListener("click", () => this.#stop());
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && this.running && !somethingOpen()) this.#stop();
    });
  }

  #stop() {
    this.actions.stop();
    this.focus();
  }

  #typed() {
    this.grow.dataset.text = this.field.value;
    keepDraft(this.key, this.field.value);
    this.#update();
  }

  #send() {
    const question = this.field.value.trim();
    if (question === "" || this.running || this.blocked || this.model === "") return;
    this.write("");
    this.actions.ask(question);
  }

  #update() {
    const able = this.field.value.trim() !== "" && !this.blocked && this.model !== "";
    this.sendButton.setAttribute("aria-disabled", String(!able));
    this.sendButton.hidden = this.running;
    this.stopButton.hidden = !this.running;
  }

  /**
   * Put text into the field, as if it had been typed.
   *
   * @param {string} text
   */
  write(text) {
    this.field.value = text;
    this.#typed();
  }

  /**
   * Take up the draft of another conversation.
   *
   * @param {string} key
   */
  open(key) {
    this.key = key;
    this.write(draft(key));
  }

  /**
   * The draft of a new conversation moves along when the conversation gets its id.
   *
   * @param {string} key
   */
  moveTo(key) {
    keepDraft(this.key, "");
    this.key = key;
    keepDraft(key, this.field.value);
  }

  /** @param {boolean} running */
  setRunning(running) {
    const stopHadFocus = document.activeElement === this.stopButton;
    this.running = running;
    this.#update();
    if (stopHadFocus) this.focus();
  }

  /** @param {boolean} blocked sending must wait */
  setBlocked(blocked) {
    this.blocked = blocked;
    this.#update();
  }

  focus() {
    this.field.focus();
  }

  /**
   * Show which model answers: a choice for a new conversation, a fact for one that has begun.
   *
   * @param {Model[]} models
   * @param {string | null} fixed
   */
  showModel(models, fixed) {
    const model = models.find(({ id }) => id === (fixed ?? this.model)) ?? (fixed === null ? models[0] : undefined);
    this.model = model?.id ?? "";
    this.pick.replaceChildren();
    if (fixed !== null && model) this.pick.append(h("span", { class: "model-about model-origin" }, t("composer.hint")));
    else if (fixed !== null) this.pick.append(h("span", { class: "model-about" }, t("model.closed", { model: fixed })));
    else if (model) this.pick.append(models.length > 1 ? this.#choice(models) : h("span", {}, model.id), modelAbout(model));
    this.#update();
  }

  /** @param {Model[]} models */
  #choice(models) {
    const options = models.map(({ id }) => h("option", { value: id, selected: id === this.model }, id));
    const choose = () => {
      this.model = select.value;
      this.showModel(models, null);
      this.pick.querySelector("select")?.focus();
    };
    const select = h("select", { "aria-label": t("model.choose"), onchange: choose }, ...options);
    return h("span", { class: "select" }, select, icon("chevron"));
  }
}

/**
 * Who made the model, under which licence, and whether it runs under a waiver: in one line, before anything is asked.
 *
 * @param {Model} model
 */
function modelAbout(model) {
  return h(
    "span",
    { class: "model-about" },
    model.waived ? h("span", { class: "waived" }, icon("warning"), t("model.waived")) : null,
    h("span", { class: "model-origin" }, model.waived ? " · " : "", [model.producer, model.licence].filter(Boolean).join(" · ")),
  );
}
