/**
 * The receipt of an answer: what was used, what it cost, where the log says so, what that proves and what it does not.
 * Every field is optional: a receipt shows what it holds, and never fills a gap with a guess.
 */

import { copy } from "./clipboard.js";
import { confidenceFacts } from "./confidence.js";
import { openDrawer } from "./dialogs.js";
import { h, icon } from "./dom.js";
import { day, duration, energy, listing, moment, number } from "./format.js";
import { t, tn } from "./i18n.js";
import { answerMatches } from "./commitment.js";

/**
 * @typedef {{ waives?: string[], reason?: string, expires?: string, officer?: string }} Waiver
 * @typedef {{ name?: string, version?: string, digest?: string, template_digest?: string, signers?: string[],
 *   release?: string, licence?: string, producer?: string, jurisdiction?: string, waivers?: Waiver[] }} ModelPart
 * @typedef {{ queue_ms?: number, first_token_ms?: number, decode_ms?: number }} Timing
 * @typedef {{ request_id?: string, model?: ModelPart, adapter?: ModelPart, pack?: { name?: string, version?: string, digest?: string },
 *   documents?: import("./citations.js").Documents, instructions?: { site?: string, group?: string, brief?: string }, sampler?: Record<string, unknown>,
 *   confidence?: import("./confidence.js").Confidence, beta?: string[],
 *   usage?: { prompt_tokens?: number, cached_tokens?: number, completion_tokens?: number } | null,
 *   timing?: Timing | null, energy?: { joules?: number, method?: string, watts?: number, idle_joules?: number } | null,
 *   log?: { origin?: string, request_index?: number, answer_index?: number, size?: number },
 *   commitments?: { prompt?: string, prompt_salt?: string, answer?: string, answer_salt?: string },
 *   issued?: string }} Receipt
 */

/**
 * Milliseconds from sending to the last word, or null when the receipt does not say.
 *
 * @param {Timing | null | undefined} timing
 */
export function totalMs(timing) {
  if (!timing) return null;
  return (timing.queue_ms ?? 0) + (timing.first_token_ms ?? 0) + (timing.decode_ms ?? 0);
}

/**
 * @param {Receipt} receipt
 * @param {string} content the answer's text
 */
export function openReceipt(receipt, content) {
  const result = h("p", { class: "check-result", role: "status" });
  const check = h("button", { type: "button", class: "button button-primary", onclick: () => showCheck(receipt, content, result) }, t("receipt.check"));
  const copied = h("button", { type: "button", class: "button", onclick: () => copy(JSON.stringify(receipt, null, 2)) }, icon("copy"), t("receipt.copy"));
  const body = [
    ...(receipt.model?.waivers ?? []).map(waiverBox),
    section(t("receipt.model"), modelFacts(receipt)),
    section(t("receipt.cost"), costFacts(receipt)),
    ...(receipt.confidence ? [section(t("receipt.confidence"), facts(confidenceFacts(receipt.confidence)))] : []),
    section(t("receipt.log"), logFacts(receipt)),
    h("section", { class: "receipt-section" }, h("h3", {}, t("receipt.proves")), proofs(receipt), result),
  ];
  openDrawer({ title: t("receipt.title"), body, foot: [check, copied] });
}

/**
 * A waiver is no footnote: what is not established, why it was let through, who says so and until when.
 *
 * @param {Waiver} waiver
 */
function waiverBox(waiver) {
  const until = waiver.expires ? day(waiver.expires) : t("receipt.unknown");
  return h(
    "section",
    { class: "waiver" },
    h("h3", {}, icon("warning"), t("waiver.title")),
    h("p", {}, t("waiver.text", { checks: listing((waiver.waives ?? []).map(checkName)) })),
    waiver.reason ? h("p", {}, t("waiver.reason", { reason: waiver.reason })) : null,
    h("p", {}, t("waiver.officer", { officer: waiver.officer ?? t("receipt.unknown"), until })),
  );
}

/** @param {string} check a name of the site's model policy */
function checkName(check) {
  if (check === "producer-verified") return t("waiver.producer-verified");
  if (check === "conversion-closed") return t("waiver.conversion-closed");
  if (check === "weights-signed") return t("waiver.weights-signed");
  return check;
}

/**
 * @param {string} title
 * @param {HTMLElement} content
 */
const section = (title, content) => h("section", { class: "receipt-section" }, h("h3", {}, title), content);

/** @typedef {Array<[string, string | Node | null | undefined]>} Rows */

/** @param {Rows} rows */
function facts(rows) {
  const present = rows.filter(([, value]) => value !== null && value !== undefined && value !== "");
  return h("dl", { class: "facts-list" }, ...present.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
}

/** @param {string | undefined} text */
const digest = (text) => (text ? h("span", { class: "digest" }, text) : null);

/** @param {Receipt} receipt */
function modelFacts({ model = {}, adapter, pack, instructions = {} }) {
  const producer = [model.producer, model.jurisdiction ? `(${model.jurisdiction})` : ""].filter(Boolean).join(" ");
  return facts([
    [t("receipt.model.name"), [model.name, model.version].filter(Boolean).join(" ")],
    [t("receipt.model.producer"), producer],
    [t("receipt.model.licence"), model.licence],
    [t("receipt.model.signers"), model.signers ? listing(model.signers) : null],
    [t("receipt.model.release"), model.release],
    [t("receipt.model.digest"), digest(model.digest)],
    [t("receipt.model.template"), digest(model.template_digest)],
    [t("receipt.adapter"), adapter ? [adapter.name, adapter.version].filter(Boolean).join(" ") : null],
    [t("receipt.instructions.site"), digest(instructions.site)],
    [t("receipt.instructions.group"), digest(instructions.group)],
    [t("receipt.pack"), pack ? [pack.name, pack.version].filter(Boolean).join(" ") : null],
    [t("receipt.pack.digest"), digest(pack?.digest)],
    [t("receipt.instructions.brief"), digest(instructions.brief)],
  ]);
}

/** @param {Receipt} receipt */
function costFacts({ usage, timing, energy: used, sampler }) {
  const first = timing ? (timing.queue_ms ?? 0) + (timing.first_token_ms ?? 0) : null;
  const total = totalMs(timing);
  const prompt = usage?.prompt_tokens;
  return facts([
    [t("receipt.tokens.prompt"), prompt === undefined ? null : tn("answer.tokens", prompt)],
    [t("receipt.tokens.answer"), usage?.completion_tokens === undefined ? null : tn("answer.tokens", usage.completion_tokens)],
    [t("receipt.time.first"), first === null ? null : duration(first)],
    [t("receipt.time.total"), total === null ? null : duration(total)],
    [t("receipt.energy"), used?.joules === undefined ? null : joulesOf(used.joules, used.method)],
    [t("receipt.sampler"), sampler ? samplerText(sampler) : null],
  ]);
}

/**
 * @param {number} joules
 * @param {string | undefined} method how they were found: "measured", or anything else for an estimate
 */
function joulesOf(joules, method) {
  const how = method === "measured" ? t("receipt.energy.measured") : t("receipt.energy.estimate");
  return h("span", {}, energy(joules), h("br"), h("span", { class: "soft" }, how));
}

/** @param {Record<string, unknown>} sampler */
function samplerText(sampler) {
  const values = Object.entries(sampler).filter(([, value]) => typeof value === "number" || typeof value === "string");
  return values.map(([name, value]) => `${name} ${value}`).join(", ");
}

/** @param {Receipt} receipt */
function logFacts({ log = {}, commitments = {}, issued, request_id: request }) {
  const at = (/** @type {number | undefined} */ index) => (index === undefined ? null : number(index));
  return facts([
    [t("receipt.log.origin"), log.origin],
    [t("receipt.log.request"), at(log.request_index)],
    [t("receipt.log.answer"), at(log.answer_index)],
    [t("receipt.log.size"), log.size === undefined ? null : tn("receipt.entries", log.size)],
    [t("receipt.issued"), issued ? moment(issued) : null],
    [t("receipt.request"), digest(request)],
    [t("receipt.commitment.prompt"), digest(commitments.prompt)],
    [t("receipt.commitment.answer"), digest(commitments.answer)],
  ]);
}

/** @param {Receipt} receipt */
function proofs({ model, log, energy: used }) {
  const item = (/** @type {string} */ text) => h("li", {}, icon("check"), h("span", {}, text));
  const not = (/** @type {string} */ text) => h("li", { class: "not" }, icon("close"), h("span", {}, text));
  return h(
    "ul",
    { class: "proofs" },
    item(model?.signers?.length ? t("proves.model", { signers: listing(model.signers) }) : t("proves.model.unsigned")),
    item(log?.request_index === undefined ? t("proves.log") : t("proves.log.at", { position: number(log.request_index) })),
    item(t("proves.text")),
    not(t("proves.not.right")),
    not(used?.method === "measured" ? t("proves.not.energy.measured") : t("proves.not.energy")),
  );
}

/**
 * @param {Receipt} receipt
 * @param {string} content
 * @param {HTMLElement} result
 */
async function showCheck(receipt, content, result) {
  const outcome = await answerMatches(receipt.commitments ?? {}, content);
  result.classList.toggle("holds", outcome === "matches");
  result.classList.toggle("broken", outcome === "differs");
  if (outcome === "matches") result.textContent = t("receipt.check.matches");
  else if (outcome === "differs") result.textContent = t("receipt.check.differs");
  else result.textContent = t("receipt.check.impossible");
  result.scrollIntoView({ block: "nearest" });
}
