/** The auditors' page: who is signed in, how far the log goes, what was used, and the entries. */

import { Entries } from "./audit_entries.js";
import { Figures } from "./audit_figures.js";
import { NAMES_ROLE, Names } from "./audit_names.js";
import { drawState } from "./audit_state.js";
import * as api from "./api.js";
import { byId } from "./dom.js";
import { onLanguage, speak, t } from "./i18n.js";
import { offerLanguages, preferences, preferredLanguage } from "./preferences.js";

/** @param {unknown} error */
export function told(error) {
  if (error instanceof api.Problem && error.status === 401) return t("audit.problem.signed_out");
  if (error instanceof api.Problem && error.code === "names_not_allowed") return t("audit.problem.names");
  if (error instanceof api.Problem && error.code === "identity_unavailable") return t("audit.problem.identity");
  if (error instanceof api.Problem && error.status === 403) return t("audit.problem.role");
  if (error instanceof api.Problem && error.status === 422) return t("audit.problem.query");
  return t("audit.problem.log");
}

/** @param {unknown} error */
function show(error) {
  const problem = byId("auditor-problem");
  problem.textContent = error === null ? "" : told(error);
  problem.hidden = error === null;
}

function draw() {
  byId("auditor-preferences").replaceChildren(preferences("auditor"));
  document.title = `${t("audit.title")} · sovereign`;
}

async function open() {
  draw();
  onLanguage(draw);
  try {
    const session = await api.session();
    await offerLanguages(session.languages);
    const state = await api.audit("state", {});
    byId("auditor-parts").hidden = false;
    drawState(byId("auditor-state"), state);
    onLanguage(() => drawState(byId("auditor-state"), state));
    const names = new Names(byId("auditor-names"), session.user.roles.includes(NAMES_ROLE));
    const entries = new Entries(byId("auditor-filters"), byId("auditor-entries"), names, show);
    const figures = new Figures(byId("auditor-period"), byId("auditor-figures"), show);
    await entries.start();
    await figures.start();
  } catch (error) {
    show(error);
  }
}

await speak(preferredLanguage());
await open();
