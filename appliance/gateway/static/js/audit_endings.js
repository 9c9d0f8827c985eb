/** How answers ended: what broke off first, the most frequent of each first, with its share of all. */

import { bars } from "./audit_plots.js";
import { number, share } from "./format.js";
import { t } from "./i18n.js";

const WHOLE = ["stop", "length"];

/** @param {string} outcome as entries of the log, and the filter for them, have it */
function words(outcome) {
  switch (outcome) {
    case "stop":
      return t("audit.ending.stop");
    case "length":
      return t("audit.ending.length");
    case "cancelled":
      return t("audit.ending.cancelled");
    case "interrupted":
      return t("audit.ending.interrupted");
    case "error":
      return t("audit.ending.error");
    default:
      return "";
  }
}

/** @param {Record<string, number>} outcomes */
export function endingBars(outcomes) {
  const total = Object.values(outcomes).reduce((sum, count) => sum + count, 0);
  const rows = Object.entries(outcomes).map(([outcome, value]) => {
    const told = words(outcome);
    const part = share(value / total);
    return {
      label: told === "" ? outcome : `${told} (${outcome})`,
      value,
      shown: `${number(value)} · ${part}`,
      second: !WHOLE.includes(outcome),
      cells: [number(value), part],
    };
  });
  rows.sort((one, other) => Number(other.second) - Number(one.second) || other.value - one.value);
  const names = [t("audit.figures.answers"), t("audit.figures.share")];
  return bars(t("audit.figures.endings"), t("audit.filter.outcome"), names, rows);
}
