/** How experts agree, each figure with its count; and imported cases that contradict each other. */

import { h } from "./dom.js";
import { number } from "./format.js";
import { t, tn } from "./i18n.js";

/**
 * @param {HTMLElement} place
 * @param {import("./expert_queue.js").Found} found
 */
export function drawAgreement(place, { agreement, experts }) {
  if (experts.length === 0) {
    place.replaceChildren(h("p", {}, t("expert.agreement.none")));
    return;
  }
  const heads = [
    t("expert.agreement.who"),
    t("expert.ruling.right"),
    t("expert.ruling.wrong"),
    t("expert.ruling.unclear"),
    t("expert.agreement.kappa"),
    t("expert.agreement.compared"),
  ];
  place.replaceChildren(
    h("p", {}, `${tn("expert.agreement.pairs", agreement.count)} ${t("expert.agreement.kappa")}: ${kappa(agreement.kappa)}`),
    h(
      "div",
      { class: "auditor-scroll" },
      h(
        "table",
        { class: "auditor-table expert-table" },
        h("thead", {}, h("tr", {}, ...heads.map((head) => h("th", { scope: "col" }, head)))),
        h("tbody", {}, ...experts.map((one) => row(one, heads))),
      ),
    ),
  );
}

/**
 * @param {import("./expert_queue.js").Expert} one
 * @param {string[]} heads said again in each cell where the table is too narrow for a head
 */
function row(one, heads) {
  const counts = ["right", "wrong", "unclear"].map((ruling) => number(one.rulings[ruling] ?? 0));
  return h(
    "tr",
    {},
    h(
      "td",
      {},
      one.you ? t("expert.agreement.you") : h("span", { class: "mono" }, one.name),
      one.one_sided && h("div", { class: "expert-attention" }, t("expert.agreement.one_sided")),
    ),
    ...[...counts, kappa(one.kappa), number(one.count)].map((figure, index) =>
      h("td", { class: "number", "data-head": heads[index + 1] }, figure),
    ),
  );
}

/** @param {number | null} value */
const kappa = (value) => (value === null ? "–" : number(value, 2));

/**
 * @param {HTMLElement} place
 * @param {import("./expert_queue.js").Case[]} cases
 * @param {string} label of the button
 * @param {(id: string) => void} onKeep
 */
export function drawCases(place, cases, label, onKeep) {
  const rows = cases.map(({ id, question, kind, expected }) =>
    h(
      "li",
      {},
      h("span", {}, `${question} → ${kind}: ${expected.join(" · ")}`),
      h("button", { type: "button", class: "button", onclick: () => onKeep(id) }, label),
    ),
  );
  place.replaceChildren(h("ul", { class: "expert-blocked" }, ...rows));
}
