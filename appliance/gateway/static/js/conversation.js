/**
 * The open conversation: its turns, the answer being written, and what happens when writing fails.
 *
 * Before the gateway says `start`, nothing was written: a failure takes the question back into the composer. After it,
 * question and answer exist: a failure leaves what there is, with the reason below it.
 */

import { Answer } from "./answer.js";
import * as api from "./api.js";
import { documentsWanted } from "./documents.js";
import { byId, h } from "./dom.js";
import { t } from "./i18n.js";
import { answersOf } from "./expert_answers.js";
import { announce } from "./live.js";
import { Follower } from "./follower.js";
import { SentBefore } from "./sent_before.js";

/** How often, and how long apart, a stopped answer is asked for until the gateway has closed its books on it. */
const SETTLE_TRIES = 6;
const SETTLE_MS = 500;

/**
 * @typedef {{ busy: (running: boolean) => void, refused: (error: unknown, question: string) => void,
 *   failed: (error: unknown) => void, changed: () => void, answered: (answers: api.ExpertAnswer[]) => void }} Listener
 */

export class ConversationView {
  /** @param {Listener} listener */
  constructor(listener) {
    this.listener = listener;
    this.column = byId("column");
    this.follower = new Follower(byId("scroll"), byId("jump"));
    /** @type {string | null} */
    this.id = null;
    /** @type {api.Message[]} */
    this.messages = [];
    /** @type {AbortController | null} */
    this.running = null;
    this.list = h("ol", { class: "thread" });
    this.before = new SentBefore(listener.failed);
    /** @type {api.ExpertAnswer[]} */
    this.answered = [];
  }

  /**
   * Show a conversation. Leaving one stops the answer that it was writing.
   *
   * @param {api.Conversation | null} conversation null for a new one
   */
  show(conversation) {
    this.stop();
    if (this.running) this.listener.busy(false);
    this.running = null;
    this.id = conversation?.id ?? null;
    this.messages = conversation?.messages ?? [];
    this.#placeAnswers(conversation?.expert_answers ?? []);
    this.before.show(conversation?.sent_before);
    this.draw();
    if (this.messages.length > 0) this.follower.jump();
    else this.follower.rest();
  }

  /**
   * Experts' answers go below what was asked about; those about an answer that is gone, below the conversation.
   *
   * @param {api.ExpertAnswer[]} answers
   */
  #placeAnswers(answers) {
    const known = new Set(this.messages.map(({ id }) => id));
    for (const message of this.messages) message.expert_answers = answers.filter((one) => one.message_id === message.id);
    this.answered = answers.filter((one) => !known.has(one.message_id));
    if (answers.length > 0) this.listener.answered(answers);
  }

  /** Build every turn again, also after a change of language. */
  draw() {
    if (this.running) return;
    this.list = h("ol", { class: "thread", "aria-label": t("thread.label") });
    const last = this.messages.at(-1);
    for (const message of this.messages) {
      this.list.append(message.role === "user" ? questionTurn(message.content) : this.#finished(message, message === last));
    }
    this.before.draw();
    this.column.replaceChildren(this.list, this.before.element, answersOf(this.answered) ?? "");
  }

  /**
   * @param {api.Message} message
   * @param {boolean} last
   */
  #finished(message, last) {
    return Answer.finished(message, this.#around(), last).element;
  }

  /** @returns {import("./answer.js").Surroundings} */
  #around() {
    return { retry: (answer) => this.retry(answer), failed: this.listener.failed };
  }

  /**
   * Ask in this conversation; it has an id by now.
   *
   * @param {string} question
   */
  async ask(question) {
    const id = this.id;
    if (id === null || this.running) return;
    if (!this.list.isConnected) this.draw();
    const turn = questionTurn(question);
    const answer = new Answer(this.#around());
    this.#retireLastAnswer();
    this.list.append(turn, answer.element);
    this.follower.jump();
    const began = await this.#run(answer, question, (signal) => api.ask(id, question, signal, documentsWanted()));
    if (began.error === null) return;
    turn.remove();
    this.draw();
    this.listener.refused(began.error, question);
  }

  /**
   * Write the last answer again. The gateway discards the old one when the new one starts, not before.
   *
   * @param {Answer} old
   */
  async retry(old) {
    const id = this.id;
    if (id === null || this.running) return;
    const answer = new Answer(this.#around());
    old.element.replaceWith(answer.element);
    this.follower.jump();
    const before = this.messages;
    this.messages = this.messages.filter((message) => message.id !== old.message.id);
    const began = await this.#run(answer, null, (signal) => api.retry(id, old.message.id, signal, !old.message.receipt && documentsWanted()));
    if (began.error === null) return void this.before.look(id, () => this.id === id);
    this.messages = before;
    this.draw();
    this.listener.failed(began.error);
  }

  /** Only the last answer can be tried again: the one before loses the button. */
  #retireLastAnswer() {
    const last = this.messages.at(-1);
    const element = this.list.lastElementChild;
    if (last?.role === "assistant" && element) element.replaceWith(this.#finished(last, false));
  }

  /**
   * Read one answer to its end, however it ends.
   *
   * @param {Answer} answer
   * @param {string | null} question null when it is already among the messages
   * @param {(signal: AbortSignal) => AsyncGenerator<api.AnswerEvent>} open
   * @returns {Promise<{ error: unknown }>} the error of an answer that never started, else null
   */
  async #run(answer, question, open) {
    const running = new AbortController();
    this.running = running;
    this.listener.busy(true);
    announce(t("thread.waiting"));
    let error = null;
    try {
      for await (const event of open(running.signal)) this.#take(answer, question, event);
    } catch (caught) {
      error = caught;
    }
    if (this.running !== running) return { error: null };
    this.running = null;
    this.listener.busy(false);
    const started = answer.message.id !== "";
    if (running.signal.aborted) await this.#settle(answer);
    else if (error === null) this.#complete(answer);
    else if (started) this.#brokenOff(answer, error);
    return { error: started || running.signal.aborted ? null : error };
  }

  /**
   * @param {Answer} answer
   * @param {string | null} question
   * @param {api.AnswerEvent} event
   */
  #take(answer, question, event) {
    if (event.type === "start") {
      answer.message.id = event.message_id;
      if (question !== null) this.messages.push({ id: event.user_message_id ?? "", role: "user", content: question });
      this.messages.push(answer.message);
      this.listener.changed();
    } else if (event.type === "token") answer.append(event.text);
    else if (event.type === "held") answer.held(event.tokens);
    else if (event.type === "citations") answer.message.citations = event;
    else if (event.type === "receipt") answer.message.receipt = event.receipt;
    else if (event.type === "done") answer.message.finish_reason = event.finish_reason;
  }

  /** @param {Answer} answer */
  #complete(answer) {
    answer.finish(true);
    announce(t("thread.finished", { text: answer.prose.element.textContent ?? "" }));
    this.listener.changed();
  }

  /**
   * @param {Answer} answer
   * @param {unknown} error
   */
  #brokenOff(answer, error) {
    answer.breakOff(error);
    this.listener.changed();
    if (error instanceof api.Problem && error.status === 401) this.listener.failed(error);
  }

  /**
   * After a stop: the partial answer as the gateway kept it, with its receipt, once it has one.
   *
   * @param {Answer} answer
   */
  async #settle(answer) {
    answer.message.finish_reason = "cancelled";
    answer.finish(answer.message.id !== "");
    announce(t("answer.cancelled"));
    const id = this.id;
    for (let tries = 0; tries < SETTLE_TRIES && id !== null && this.id === id && !this.running; tries += 1) {
      await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
      const kept = await api.conversation(id).catch(() => null);
      const last = kept?.messages.at(-1);
      if (this.id !== id || this.running || !kept) return;
      if (last?.finish_reason || kept.messages.length === 0) {
        this.messages = kept.messages;
        this.draw();
        this.listener.changed();
        return;
      }
    }
  }

  /** Stop the answer that is being written. */
  stop() {
    this.running?.abort();
  }
}

/** @param {string} text */
function questionTurn(text) {
  return h("li", { class: "turn turn-user" }, h("h2", { class: "visually-hidden" }, t("thread.you")), h("div", { class: "said" }, text));
}
