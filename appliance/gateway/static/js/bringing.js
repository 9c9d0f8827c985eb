/**
 * Documents that a person brings for a group: one file after the other, each with what became of it. A file that cannot
 * be read stops no other; closing the panel stops after the file that is being read.
 */

import * as api from "./api.js";
import { openDrawer } from "./dialogs.js";
import { byId, h, icon } from "./dom.js";
import { t, tn } from "./i18n.js";
import { announce } from "./live.js";

const KINDS = ".pdf,.docx,.odt,.html,.htm,.md,.txt,.csv,.eml";
const LARGEST = 32 * 1024 * 1024;

/**
 * @param {string[]} groups those that the person may bring documents for
 * @param {(error: unknown) => void} failed
 */
export function offerBringing(groups, failed) {
  const button = byId("bring-documents");
  button.hidden = groups.length === 0;
  button.addEventListener("click", () => open(groups, failed));
}

/**
 * @param {string[]} groups
 * @param {(error: unknown) => void} failed
 */
function open(groups, failed) {
  const group = h("select", { id: "bring-group" }, ...groups.map((name) => h("option", { value: name }, name)));
  const field = h("input", { type: "file", id: "bring-files", multiple: true, accept: KINDS, class: "field" });
  const bar = h("progress", { id: "bring-progress", hidden: true, "aria-label": t("bring.progress") });
  const list = h("ul", { class: "brought" });
  const body = h(
    "div",
    { class: "bring" },
    h("p", {}, t("bring.text")),
    h("label", { for: "bring-group" }, t("bring.group")),
    h("span", { class: "select" }, group, icon("chevron")),
    h("label", { for: "bring-files" }, t("bring.files")),
    field,
    bar,
    list,
  );
  field.addEventListener("change", async () => {
    const files = [...(field.files ?? [])];
    field.disabled = true;
    await bringAll(group.value, files, bar, list, failed);
    field.disabled = false;
    field.value = "";
  });
  openDrawer({ title: t("bring.open"), body: [body], foot: [] });
}

/**
 * @param {string} group
 * @param {File[]} files
 * @param {HTMLProgressElement} bar
 * @param {HTMLElement} list
 * @param {(error: unknown) => void} failed
 */
async function bringAll(group, files, bar, list, failed) {
  bar.hidden = false;
  bar.max = files.length;
  bar.value = 0;
  for (const file of files) {
    if (!list.isConnected) return;
    const said = h("span", { class: "brought-outcome" }, t("bring.reading"));
    list.append(h("li", {}, h("span", { class: "brought-name" }, file.name), said));
    said.textContent = await outcomeOf(group, file, failed);
    bar.value += 1;
    announce(`${file.name}: ${said.textContent}`);
  }
  await offerAnew(failed);
}

/**
 * Perhaps these were the first documents that the person can be answered from.
 *
 * @param {(error: unknown) => void} failed
 */
async function offerAnew(failed) {
  try {
    byId("documents-switch").hidden = !(await api.session()).documents;
  } catch (error) {
    failed(error);
  }
}

/**
 * @param {string} group
 * @param {File} file
 * @param {(error: unknown) => void} failed
 */
async function outcomeOf(group, file, failed) {
  if (file.size > LARGEST) return t("bring.too_large");
  try {
    const { outcome, reason, passages } = await api.bring(group, file);
    if (outcome === "refused") return refusal(reason);
    if (outcome === "unchanged") return t("bring.unchanged");
    const said = outcome === "replaced" ? t("bring.replaced") : t("bring.new");
    return passages === null ? said : `${said} ${tn("bring.passages", passages)}`;
  } catch (error) {
    if (error instanceof api.Problem && error.status === 413) return t("bring.too_large");
    if (error instanceof api.Problem && error.code === "documents_full") return t("bring.full");
    if (error instanceof api.Problem && error.code === "importing") return t("bring.busy");
    failed(error);
    return t("bring.failed");
  }
}

/** @param {string | null} reason a word of the importer's */
function refusal(reason) {
  if (reason === "encrypted") return t("bring.encrypted");
  if (reason === "macros") return t("bring.macros");
  if (reason === "encoding") return t("bring.encoding");
  if (reason === "no_text") return t("bring.no_text");
  if (reason === "too_large" || reason === "memory") return t("bring.too_large");
  if (reason === "unsupported") return t("bring.unsupported");
  if (reason === "damaged") return t("bring.damaged");
  return t("bring.refused");
}
