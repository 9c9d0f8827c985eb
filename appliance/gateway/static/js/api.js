/**
 * The page API of the gateway, and nothing else: every request of this page leaves through here or through `i18n.js`.
 *
 * Failures: `Unreachable` when nothing answered, `Problem` when the gateway refused (RFC 9457), `Cut` when an answer's
 * stream ended without saying so. An abort by the caller stays an `AbortError`.
 */

import { Cut, Problem, Unreachable } from "./failures.js";
import { EventParser } from "./sse.js";

export { Cut, Problem, Unreachable };

/**
 * @typedef {{ id: string, licence?: string, producer?: string, signers?: string[], digest?: string, waived?: boolean,
 *   context_tokens?: number }} Model
 * @typedef {{ user: { name: string, groups: string[], roles: string[] }, csrf: string, languages: string[],
 *   site: { name: string }, models: Model[], documents: boolean, brings: string[],
 *   expert_answers?: number }} Session
 * @typedef {{ id: string, message_id: string, conversation_id?: string, group: string, question?: string, answer: string,
 *   created: string, seen: boolean }} ExpertAnswer
 * @typedef {{ id: string, title: string | null, model: string, updated: string }} Summary
 * @typedef {{ id: string, role: "user" | "assistant", content: string, created?: string, finish_reason?: string | null,
 *   receipt?: import("./receipt.js").Receipt | null, feedback?: Feedback | null,
 *   citations?: import("./citations.js").Documents, expert_answers?: ExpertAnswer[] }} Message
 * @typedef {{ title: string, headings: string[], page: number | null, text: string }} Passage
 * @typedef {{ verdict: "up" | "down", reasons?: string[], reason?: string | null, correction?: string | null,
 *   send?: boolean, group?: string | null, asks?: boolean }} Feedback
 * @typedef {{ id: string, title: string | null, model: string, messages: Message[], sent_before?: string[],
 *   expert_answers?: ExpertAnswer[] }} Conversation
 * @typedef {{ type: "start", user_message_id?: string, message_id: string } | { type: "token", text: string }
 *   | { type: "held", tokens: number }
 *   | ({ type: "citations" } & import("./citations.js").Documents)
 *   | { type: "receipt", receipt: import("./receipt.js").Receipt } | { type: "done", finish_reason: string }} AnswerEvent
 */

let csrf = "";

/**
 * @param {string} method
 * @param {string} path
 * @param {object} [body]
 * @param {AbortSignal} [signal]
 * @returns {Promise<Response>}
 */
async function send(method, path, body, signal) {
  /** @type {Record<string, string>} */
  const headers = { Accept: "application/json, text/event-stream" };
  if (method !== "GET") headers["X-CSRF-Token"] = csrf;
  const file = body instanceof Blob;
  if (body !== undefined) headers["Content-Type"] = file ? "application/octet-stream" : "application/json";
  const options = { method, headers, body: file ? body : body && JSON.stringify(body), signal, credentials: "same-origin", cache: "no-store" };
  let response;
  try {
    response = await fetch(path, /** @type {RequestInit} */ (options));
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new Unreachable(path);
  }
  if (!response.ok) throw await problemOf(response);
  return response;
}

/**
 * @param {Response} response
 * @returns {Promise<Problem>}
 */
async function problemOf(response) {
  const header = Number.parseInt(response.headers.get("Retry-After") ?? "", 10);
  const base = { status: response.status, retry_after: Number.isNaN(header) ? undefined : header };
  try {
    return new Problem({ ...base, ...(await response.json()), status: response.status });
  } catch {
    return new Problem(base);
  }
}

/** @returns {Promise<Session>} */
export async function session() {
  const found = await (await send("GET", "/api/session")).json();
  csrf = found.csrf;
  return found;
}

/**
 * What auditors read: `state`, `entries`, `figures` or `names`.
 *
 * @param {string} what
 * @param {Record<string, string>} query empty values are left out
 */
export async function audit(what, query) {
  const asked = new URLSearchParams(Object.entries(query).filter(([, value]) => value !== ""));
  return (await send("GET", `/api/audit/${what}?${asked}`)).json();
}

/** The hierarchy of memories, for who administers the site. */
export const memory = async () => (await send("GET", "/api/memory")).json();

/**
 * Passages as they stand now; null for each that is gone, or not the person's to see any more.
 *
 * @param {import("./citations.js").Place[]} places
 * @returns {Promise<Array<Passage | null>>}
 */
export const passages = async (places) => {
  const asked = places.map(({ document, version, first, last }) => ({ document, version, first, last }));
  return (await (await send("POST", "/api/passages", { places: asked })).json()).passages;
};

/**
 * Bring a document for a group.
 *
 * @param {string} group
 * @param {File} file
 * @returns {Promise<{ outcome: string, reason: string | null, title: string | null, passages: number | null }>}
 */
export const bring = async (group, file) =>
  (await send("PUT", `/api/documents/${encodeURIComponent(group)}/${encodeURIComponent(file.name)}`, file)).json();

/** @returns {Promise<{ redirect?: string }>} */
export const signOut = async () => (await send("POST", "/auth/logout")).json();

/** @returns {Promise<Summary[]>} */
export const conversations = async () => (await (await send("GET", "/api/conversations")).json()).conversations;

/**
 * @param {string} model
 * @returns {Promise<Summary>}
 */
export const createConversation = async (model) => (await send("POST", "/api/conversations", { model })).json();

/**
 * @param {string} id
 * @returns {Promise<Conversation>}
 */
export const conversation = async (id) => (await send("GET", `/api/conversations/${encodeURIComponent(id)}`)).json();

/**
 * @param {string} id
 * @param {string} title
 */
export const rename = (id, title) => send("PATCH", `/api/conversations/${encodeURIComponent(id)}`, { title });

/** @param {string} id */
export const remove = (id) => send("DELETE", `/api/conversations/${encodeURIComponent(id)}`);

/**
 * @param {string} messageId
 * @param {Feedback} feedback
 */
export const giveFeedback = (messageId, feedback) =>
  send("PUT", `/api/messages/${encodeURIComponent(messageId)}/feedback`, feedback);

/**
 * Groups whose experts the answer may be sent to.
 *
 * @param {string} messageId
 * @returns {Promise<string[]>}
 */
export const feedbackGroups = async (messageId) =>
  (await (await send("GET", `/api/messages/${encodeURIComponent(messageId)}/feedback`)).json()).groups;

/** @param {string} messageId */
export const takeBackFeedback = (messageId) => send("DELETE", `/api/messages/${encodeURIComponent(messageId)}/feedback`);

/** @returns {Promise<ExpertAnswer[]>} newest first */
export const expertAnswers = async () => (await (await send("GET", "/api/expert-answers")).json()).answers;

/** @param {string[]} ids */
export const seeExpertAnswers = (ids) => send("POST", "/api/expert-answers/seen", { ids });

/**
 * What experts read: `queue`, `cases`, `briefs`, or `failures/ID`.
 *
 * @param {string} what
 */
export const expert = async (what) => (await send("GET", `/api/expert/${what}`)).json();

/**
 * @param {string} failureId
 * @param {object} ruling
 */
export const giveRuling = async (failureId, ruling) =>
  (await send("PUT", `/api/expert/failures/${encodeURIComponent(failureId)}/ruling`, ruling)).json();

/** @param {string} caseId */
export const keepCase = (caseId) => send("POST", `/api/expert/cases/${encodeURIComponent(caseId)}/decision`);

/**
 * @param {"POST" | "DELETE"} method
 * @param {string} what a brief, its acceptance or a line of it
 */
export const changeBrief = (method, what) => send(method, `/api/expert/briefs/${what}`);

/**
 * Ask, and read the answer as it is written. Aborting the signal closes the connection, which stops the model.
 *
 * @param {string} id the conversation
 * @param {string} content
 * @param {AbortSignal} signal
 * @param {boolean} documents whether to answer from documents
 */
export const ask = (id, content, signal, documents) =>
  answer(`/api/conversations/${encodeURIComponent(id)}/messages`, documents ? { content, documents } : { content }, signal);

/**
 * Ask for another answer to the same question.
 *
 * @param {string} id the conversation
 * @param {string} messageId the answer to try again
 * @param {AbortSignal} signal
 * @param {boolean} documents whether to answer from documents, though the former answer does not say that it was
 */
export const retry = (id, messageId, signal, documents) =>
  answer(
    `/api/conversations/${encodeURIComponent(id)}/messages/${encodeURIComponent(messageId)}/retry${documents ? "?documents=1" : ""}`,
    undefined,
    signal,
  );

/**
 * @param {string} path
 * @param {object | undefined} body
 * @param {AbortSignal} signal
 * @returns {AsyncGenerator<AnswerEvent, void, void>}
 */
async function* answer(path, body, signal) {
  const response = await send("POST", path, body, signal);
  if (response.body === null) throw new Cut(path);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  const parser = new EventParser();
  for (;;) {
    const { done, value } = await reader.read().catch((error) => {
      throw signal.aborted ? error : new Cut(path);
    });
    if (done) throw new Cut(path);
    for (const { event, data } of parser.feed(value)) {
      const content = JSON.parse(data);
      if (event === "problem") throw new Problem(content);
      if (event === "receipt") yield { type: "receipt", receipt: content.receipt ?? content };
      else yield { ...content, type: event };
      if (event === "done") return;
    }
  }
}
