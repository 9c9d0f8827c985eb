/**
 * Language and theme: read once, kept in localStorage, changed by two selects that the welcome page and the account
 * menu both show. Without storage they hold until the page is closed.
 */

import { h, icon } from "./dom.js";
import { KNOWN_LANGUAGES, language, speak, t } from "./i18n.js";

const LANGUAGE = "sovereign.language";
const THEME = "sovereign.theme";
const NAMES = { en: "English", fr: "Français", de: "Deutsch" };
/** The site may offer fewer languages than the page knows; the session says so. */
let offered = KNOWN_LANGUAGES;

/** @param {string} key */
function read(key) {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

/**
 * @param {string} key
 * @param {string} value
 */
function write(key, value) {
  try {
    localStorage.setItem(key, value);
  } catch {
    // Storage is switched off: the choice holds until the page is closed.
  }
}

/**
 * The language to start in: the one chosen before, else the first of the browser's that is offered, else the first
 * offered.
 *
 * @returns {string}
 */
export function preferredLanguage() {
  const wished = [read(LANGUAGE), ...navigator.languages.map((tag) => tag.slice(0, 2).toLowerCase())];
  return wished.find((code) => code !== null && offered.includes(code)) ?? offered[0];
}

/**
 * Keep to the languages that this site offers.
 *
 * @param {string[]} codes
 */
export async function offerLanguages(codes) {
  const known = codes.filter((code) => KNOWN_LANGUAGES.includes(code));
  if (known.length > 0) offered = known;
  if (!offered.includes(language())) await speak(preferredLanguage());
}

/** @returns {"auto" | "light" | "dark"} */
function theme() {
  const kept = read(THEME);
  return kept === "light" || kept === "dark" ? kept : "auto";
}

/** @param {string} value */
function setTheme(value) {
  write(THEME, value);
  if (value === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = value;
}

/** @param {string} code */
async function setLanguage(code) {
  write(LANGUAGE, code);
  await speak(code);
}

/**
 * Both selects, labelled.
 *
 * @param {string} place prefix of the element ids: the selects may stand twice in the page
 */
export function preferences(place) {
  const languages = offered.map((code) => ({ value: code, name: NAMES[/** @type {keyof NAMES} */ (code)], lang: code }));
  const themes = [
    { value: "auto", name: t("theme.auto") },
    { value: "light", name: t("theme.light") },
    { value: "dark", name: t("theme.dark") },
  ];
  return h(
    "div",
    { class: "preferences" },
    preference(`${place}-language`, t("preferences.language"), languages, language(), async (code) => {
      await setLanguage(code);
      document.getElementById(`${place}-language`)?.focus();
    }),
    preference(`${place}-theme`, t("preferences.theme"), themes, theme(), setTheme),
  );
}

/**
 * @param {string} id
 * @param {string} label
 * @param {Array<{value: string, name: string, lang?: string}>} choices
 * @param {string} current
 * @param {(value: string) => void} choose
 */
function preference(id, label, choices, current, choose) {
  const options = choices.map(({ value, name, lang }) => h("option", { value, lang, selected: value === current }, name));
  const select = h("select", { id, onchange: () => choose(select.value) }, ...options);
  return h(
    "div",
    { class: "preference" },
    h("label", { for: id }, label),
    h("span", { class: "select" }, select, icon("chevron")),
  );
}
