/**
 * The page of somebody signed in: it joins list, head, conversation and composer, and follows the address. The part
 * after `#` names the open conversation, so that back, forward and bookmarks work.
 */

import { Account } from "./account.js";
import * as api from "./api.js";
import { Composer } from "./composer.js";
import { ConversationView } from "./conversation.js";
import { confirm } from "./dialogs.js";
import { offerDocuments } from "./documents.js";
import { byId, h } from "./dom.js";
import { goToSignIn, NEW } from "./drafts.js";
import { ExpertAnswers } from "./expert_answers.js";
import { ConversationHead } from "./head.js";
import { onLanguage, t } from "./i18n.js";
import { announce } from "./live.js";
import { countdown, describe, noticeElement } from "./notices.js";
import { Sidebar } from "./sidebar.js";
import { emptyPage } from "./welcome.js";

const FINE_POINTER = matchMedia("(pointer: fine)");

export class Workspace {
  /** @param {api.Session} session */
  constructor(session) {
    this.session = session;
    /** @type {api.Summary[]} */
    this.conversations = [];
    /** @type {{ cancel: () => void } | null} */
    this.waiting = null;
    this.asking = false;
    this.account = new Account(session, (error) => this.failed(error));
    this.expertAnswers = new ExpertAnswers(session.expert_answers ?? 0, (error) => this.failed(error));
    this.sidebar = new Sidebar(() => this.startNew());
    this.composer = new Composer({ ask: (question) => this.#ask(question), stop: () => this.view.stop() });
    offerDocuments(session.documents);
    this.head = new ConversationHead({
      renamed: () => this.refresh(),
      removed: () => this.#removed(),
      failed: (error) => this.failed(error),
    });
    this.view = new ConversationView({
      busy: (running) => this.composer.setRunning(running),
      refused: (error, question) => this.#refused(error, question),
      failed: (error) => this.failed(error),
      changed: () => this.refresh(),
      answered: (answers) => this.expertAnswers.see(answers),
    });
  }

  /** Show the list, and whatever the address names. */
  async start() {
    byId("skip").addEventListener("click", (event) => {
      event.preventDefault();
      this.#focusHeading();
    });
    addEventListener("hashchange", () => this.#route());
    onLanguage(() => this.#speakAgain());
    await Promise.all([this.refresh(), this.#route()]);
  }

  #speakAgain() {
    this.account.draw();
    this.expertAnswers.draw();
    this.sidebar.draw();
    this.head.draw();
    this.#showModel();
    if (this.view.id === null) this.#showEmpty();
    else this.view.draw();
  }

  #model() {
    return this.conversations.find(({ id }) => id === this.view.id)?.model ?? null;
  }

  #showModel() {
    this.composer.showModel(this.session.models, this.#model());
  }

  #showEmpty() {
    const begin = (/** @type {string} */ text) => {
      this.composer.write(text);
      this.composer.focus();
    };
    const hasModels = this.session.models.length > 0;
    this.view.column.replaceChildren(emptyPage({ hasModels, site: this.session.site.name, begin }));
  }

  /** Fetch the list again: titles and order change as answers come. */
  async refresh() {
    try {
      this.conversations = await api.conversations();
    } catch (error) {
      this.failed(error);
      return;
    }
    this.sidebar.show(this.conversations, this.view.id);
    this.#showHead();
  }

  #showHead() {
    const found = this.conversations.find(({ id }) => id === this.view.id);
    const waived = this.session.models.some(({ id, waived: under }) => id === found?.model && under);
    this.head.show(found ? { ...found, waived: Boolean(waived) } : null);
  }

  /** Begin a new conversation; it exists for the gateway once something is asked. */
  startNew() {
    if (location.hash === "" || location.hash === "#/") this.#open(null);
    else location.hash = "#/";
    this.sidebar.close();
    this.composer.focus();
  }

  async #route() {
    const id = /^#\/c\/([\w-]+)$/.exec(location.hash)?.[1] ?? null;
    if (id !== null && id === this.view.id) return;
    if (id === null) {
      this.#open(null);
      return;
    }
    this.view.column.replaceChildren(h("p", { class: "loading", role: "status" }, t("thread.loading")));
    try {
      const found = await api.conversation(id);
      if (!this.conversations.some((known) => known.id === id)) this.conversations = [{ ...found, updated: "" }, ...this.conversations];
      this.#open(found);
    } catch (error) {
      history.replaceState(null, "", "#/");
      this.#open(null);
      this.failed(error);
      return;
    }
    this.sidebar.close();
    if (FINE_POINTER.matches) this.composer.focus();
    else this.#focusHeading();
  }

  /** @param {api.Conversation | null} conversation */
  #open(conversation) {
    this.#clearNotice();
    this.view.show(conversation);
    if (conversation === null) this.#showEmpty();
    this.composer.open(conversation?.id ?? NEW);
    this.sidebar.mark(this.view.id);
    this.#showHead();
    this.#showModel();
  }

  #focusHeading() {
    (document.getElementById("conversation-name") ?? byId("main")).focus();
  }

  /** @param {string} question */
  async #ask(question) {
    if (this.asking) return;
    this.#clearNotice();
    this.asking = true;
    try {
      if (this.view.id === null) await this.#create();
    } catch (error) {
      this.#refused(error, question);
      return;
    } finally {
      this.asking = false;
    }
    await this.view.ask(question);
  }

  async #create() {
    const created = await api.createConversation(this.composer.model);
    this.view.show({ title: null, messages: [], ...created, model: this.composer.model });
    this.conversations = [{ title: null, updated: new Date().toISOString(), ...created, model: this.composer.model }, ...this.conversations];
    this.composer.moveTo(created.id);
    history.pushState(null, "", `#/c/${created.id}`);
    this.sidebar.show(this.conversations, created.id);
    this.#showHead();
    this.#showModel();
  }

  /**
   * Nothing was written: the question goes back to where it was typed.
   *
   * @param {unknown} error
   * @param {string} question
   */
  #refused(error, question) {
    if (this.view.id === null || this.view.messages.length === 0) this.#showEmpty();
    const typed = this.composer.field.value;
    this.composer.write(typed === "" ? question : `${question}\n${typed}`);
    this.failed(error);
  }

  /**
   * Say what failed, above the composer; a lost session asks to sign in again.
   *
   * @param {unknown} error
   */
  failed(error) {
    if (error instanceof api.Problem && error.status === 401) {
      this.#sessionEnded();
      return;
    }
    this.#clearNotice();
    const found = describe(error);
    const clock = found.seconds === null ? null : countdown(found.seconds, () => this.#waitOver());
    if (clock) {
      this.waiting = clock;
      this.composer.setBlocked(true);
    }
    const close = () => {
      byId("notice").replaceChildren();
      this.composer.focus();
    };
    byId("notice").replaceChildren(noticeElement(found, { onClose: clock ? undefined : close, extra: clock?.element }));
  }

  #waitOver() {
    this.waiting = null;
    this.composer.setBlocked(false);
    announce(t("problem.limit.over"));
  }

  #clearNotice() {
    this.waiting?.cancel();
    this.waiting = null;
    this.composer.setBlocked(false);
    byId("notice").replaceChildren();
  }

  async #sessionEnded() {
    if (document.querySelector("dialog[open]")) return;
    const question = { title: t("session.ended"), text: t("session.ended.text"), action: t("session.again"), dismiss: t("session.later") };
    if (await confirm(question)) goToSignIn();
  }

  #removed() {
    this.conversations = this.conversations.filter(({ id }) => id !== this.view.id);
    this.sidebar.show(this.conversations, null);
    history.replaceState(null, "", "#/");
    this.#open(null);
    this.refresh();
    this.composer.focus();
  }
}
