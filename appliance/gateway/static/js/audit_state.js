/** How far the log goes, the checkpoint that signs it, and what witnesses saw of it. */

import { h } from "./dom.js";
import { moment, number } from "./format.js";
import { t } from "./i18n.js";

/**
 * @typedef {{ origin: string, size: number, signed_at: string, checkpoint: string,
 *   witnesses: { name: string, size: number, time: number }[] }} State
 */

/**
 * @param {HTMLElement} place
 * @param {State} state
 */
export function drawState(place, { origin, size, signed_at: signedAt, checkpoint, witnesses }) {
  const seen = witnesses.map(({ name, size: upTo, time }) =>
    h("li", {}, t("audit.state.witness", { name, size: number(upTo), time: moment(new Date(time * 1000).toISOString()) })),
  );
  place.replaceChildren(
    h(
      "dl",
      { class: "auditor-facts" },
      h("dt", {}, t("audit.state.log")),
      h("dd", {}, origin),
      h("dt", {}, t("audit.state.size")),
      h("dd", {}, number(size)),
      h("dt", {}, t("audit.state.signed")),
      h("dd", {}, moment(signedAt)),
      h("dt", {}, t("audit.state.witnesses")),
      h("dd", {}, seen.length > 0 ? h("ul", {}, ...seen) : t("audit.state.unwitnessed")),
    ),
    h(
      "details",
      { class: "auditor-details" },
      h("summary", {}, t("audit.state.checkpoint")),
      h("pre", { tabindex: "0" }, checkpoint),
    ),
  );
}
