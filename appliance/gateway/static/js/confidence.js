/** How sure an answer is, in words and as a number; where that is not calibrated, that it is not known. */

import { h, icon } from "./dom.js";
import { number } from "./format.js";
import { t } from "./i18n.js";

/**
 * @typedef {{ value?: number | null, calibrated?: boolean, labels?: number | null, ece?: number | null, below?: number,
 *   calibration?: string, outcome?: string, unmeasured?: string, cause?: string, beta?: boolean }} Confidence
 */

/**
 * The line below an answer; null where nothing was measured. No number is ever drawn that no calibration stands behind.
 *
 * @param {Confidence | null | undefined} confidence
 */
export function confidenceLine(confidence) {
  if (!confidence) return null;
  const withheld = confidence.outcome === "abstained" || confidence.outcome === "asked_back";
  const warns = confidence.outcome === "marked";
  return h(
    "p",
    { class: warns ? "confidence confidence-warns" : "confidence" },
    withheld || warns ? icon("warning") : "",
    h("span", {}, withheld ? `${t("confidence.withheld")} ${words(confidence)}` : warns ? `${t("confidence.marked")} ${words(confidence)}` : words(confidence)),
    confidence.beta ? betaMark() : "",
  );
}

/** The word that marks a feature which is being tried. */
export const betaMark = () => h("span", { class: "beta", title: t("beta.title") }, t("beta"));

/** @param {Confidence} confidence */
function words(confidence) {
  const { value, calibrated, labels } = confidence;
  if (!calibrated || typeof value !== "number") return unknown(confidence);
  const of = { value: number(value, 2), labels: number(labels ?? 0) };
  const tens = Math.round(value * 10);
  if (tens >= 10) return t("confidence.nearly_all", of);
  if (tens <= 0) return t("confidence.hardly_any", of);
  return t("confidence.about", { ...of, tens: number(tens) });
}

/** @param {Confidence} confidence */
const unknown = ({ unmeasured }) => unmeasured === "other_setting" ? t("confidence.other_setting") : t("confidence.unknown");

/**
 * Rows for the receipt.
 *
 * @param {Confidence | null | undefined} confidence
 * @returns {Array<[string, string | Node | null]>}
 */
export function confidenceFacts(confidence) {
  if (!confidence) return [];
  const { value, calibrated, labels, ece, below, calibration } = confidence;
  const known = calibrated && typeof value === "number";
  return [
    [t("receipt.confidence.value"), known ? number(value, 2) : unknown(confidence)],
    [t("receipt.confidence.labels"), known && typeof labels === "number" ? number(labels) : null],
    [t("receipt.confidence.ece"), known && typeof ece === "number" ? number(ece, 3) : null],
    [t("receipt.confidence.below"), typeof below === "number" ? number(below, 2) : null],
    [t("receipt.confidence.calibration"), known && calibration ? h("span", { class: "digest" }, calibration) : null],
  ];
}
