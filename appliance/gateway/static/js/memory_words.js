/** What tiers and scopes are called, and how sizes and ages of them are written. */

import { number } from "./format.js";
import { locale, t } from "./i18n.js";

const MIB = 1024 * 1024;
const DASH = "–";
const UNITS = /** @type {const} */ ([
  ["day", 86_400],
  ["hour", 3600],
  ["minute", 60],
  ["second", 1],
]);

/** Warmest first, as the gateway lists them. */
export const TIERS = ["pinned", "parked", "live", "disk", "untold", "passages", "documents"];
export const SCOPES = ["site", "group", "user", "untold"];

/** @param {string} tier */
export function tierName(tier) {
  switch (tier) {
    case "pinned":
      return t("memory.tier.pinned");
    case "parked":
      return t("memory.tier.parked");
    case "live":
      return t("memory.tier.live");
    case "disk":
      return t("memory.tier.disk");
    case "passages":
      return t("memory.tier.passages");
    case "documents":
      return t("memory.tier.documents");
    default:
      return t("memory.tier.untold");
  }
}

/** @param {string} scope */
export function scopeName(scope) {
  switch (scope) {
    case "site":
      return t("memory.scope.site");
    case "group":
      return t("memory.scope.group");
    case "user":
      return t("memory.scope.user");
    default:
      return t("memory.scope.untold");
  }
}

/**
 * Whose a row is: the group by its name, where one group alone has it.
 *
 * @param {{ scope: string, group: string | null, of: string | null }} row
 */
export function whose({ scope, group, of }) {
  if (scope !== "group") return scopeName(scope);
  if (group !== null) return t("memory.scope.one", { group });
  return of === "several" ? t("memory.scope.several") : t("memory.scope.former");
}

/**
 * @param {number | null} value
 * @param {number} [digits]
 */
export const count = (value, digits = 0) => (value === null ? DASH : number(value, digits));

/** @param {number | null} bytes */
export const size = (bytes) => (bytes === null ? DASH : `${number(bytes / MIB, 1)}\u00a0MiB`);

/**
 * From the newest to the oldest.
 *
 * @param {number | null} newest seconds
 * @param {number | null} oldest seconds
 */
export function ages(newest, oldest) {
  if (newest === null || oldest === null) return DASH;
  const [from, to] = [span(newest), span(oldest)];
  return from === to ? to : t("memory.ages", { from, to });
}

/**
 * A time span in the largest unit of which there are two at least.
 *
 * @param {number} seconds
 */
export function span(seconds) {
  const [unit, length] = UNITS.find(([, each]) => seconds >= 2 * each) ?? ["second", 1];
  const format = new Intl.NumberFormat(locale(), { style: "unit", unit, unitDisplay: "long", maximumFractionDigits: 0 });
  return format.format(Math.floor(seconds / length));
}
