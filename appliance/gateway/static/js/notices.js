/**
 * Failures in the reader's language: what happened, what it means for the text, and what to do. The gateway's own
 * sentence stands below in small type, for whoever is asked for help.
 */

import { Cut, Problem, Unreachable } from "./api.js";
import { h, icon, iconButton } from "./dom.js";
import { wait } from "./format.js";
import { t } from "./i18n.js";

/** @typedef {{ title: string, text: string, detail: string, calm: boolean, seconds: number | null }} Notice */

/** Refusals of the audit log's writer: no answer is given without a record. */
const LOG_CODES = new Set(["audit_unavailable", "audit_refused"]);
const DEFAULT_WAIT = 10;

/**
 * @param {unknown} error
 * @returns {Notice}
 */
export function describe(error) {
  if (error instanceof Problem) return describeProblem(error);
  if (error instanceof Unreachable) return notice(t("problem.unreachable"), t("problem.unreachable.text"));
  if (error instanceof Cut) return notice(t("problem.cut"), t("problem.cut.text"));
  throw error;
}

/**
 * @param {Problem} problem
 * @returns {Notice}
 */
function describeProblem(problem) {
  const detail = [problem.detail, problem.hint].filter(Boolean).join("; ");
  const status = problem.status;
  if (status === 429) {
    const title = problem.code === "engine_busy" ? t("problem.queue") : t("problem.limit");
    return notice(title, t("problem.limit.text"), { detail, calm: true, seconds: problem.retryAfter ?? DEFAULT_WAIT });
  }
  if (LOG_CODES.has(problem.code)) return notice(t("problem.log"), t("problem.log.text"), { detail });
  if (status === 503) return notice(t("problem.busy"), t("problem.busy.text"), { detail, calm: true });
  if (status === 403) return notice(t("problem.forbidden"), t("problem.forbidden.text"), { detail });
  if (status === 404) return notice(t("problem.gone"), t("problem.gone.text"), { detail });
  if (status === 409) return notice(t("problem.conflict"), t("problem.conflict.text"), { detail, calm: true });
  if (status === 413 || status === 422) return notice(t("problem.refused"), t("problem.refused.text"), { detail });
  return notice(t("problem.other"), t("problem.other.text"), { detail });
}

/**
 * @param {string} title
 * @param {string} text
 * @param {Partial<Notice>} [more]
 * @returns {Notice}
 */
function notice(title, text, more = {}) {
  return { title, text, detail: "", calm: false, seconds: null, ...more };
}

/**
 * The notice as an element. The words are an alert; a countdown stands outside of it, so that it is not read out every
 * second.
 *
 * @param {Notice} found
 * @param {{ onClose?: () => void, extra?: Node }} [options]
 */
export function noticeElement({ title, text, detail, calm }, { onClose, extra } = {}) {
  return h(
    "div",
    { class: calm ? "notice notice-calm" : "notice" },
    icon("warning"),
    h(
      "div",
      { class: "notice-text" },
      h("div", { role: "alert" }, h("strong", {}, title), h("span", {}, text)),
      extra,
      detail ? h("p", { class: "notice-detail" }, detail) : null,
    ),
    onClose ? iconButton("close", t("notice.close"), { onclick: onClose }) : null,
  );
}

/**
 * Seconds going by in words, until `over` is called.
 *
 * @param {number} seconds
 * @param {() => void} over
 * @returns {{ element: HTMLElement, cancel: () => void }}
 */
export function countdown(seconds, over) {
  const until = Date.now() + seconds * 1000;
  const element = h("p", { role: "timer", "aria-live": "off", class: "countdown" });
  const tick = () => {
    const left = Math.max(0, Math.ceil((until - Date.now()) / 1000));
    element.textContent = left > 0 ? t("problem.limit.wait", { time: wait(left) }) : t("problem.limit.over");
    if (left > 0) return;
    clearInterval(timer);
    over();
  };
  const timer = setInterval(tick, 500);
  tick();
  return { element, cancel: () => clearInterval(timer) };
}
