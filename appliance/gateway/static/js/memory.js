/** The page of who administers the site: the hierarchy of memories, and what each tier of it spares. */

import * as api from "./api.js";
import { byId } from "./dom.js";
import { moment } from "./format.js";
import { onLanguage, speak, t } from "./i18n.js";
import { announce } from "./live.js";
import { bars, sums } from "./memory_plots.js";
import { drawEngines, drawLibrary } from "./memory_tiers.js";
import { offerLanguages, preferences, preferredLanguage } from "./preferences.js";

/** @typedef {import("./memory_tiers.js").Hierarchy} Hierarchy */

/** @param {unknown} error */
function told(error) {
  if (error instanceof api.Problem && error.status === 401) return t("memory.problem.signed_out");
  if (error instanceof api.Problem && error.status === 403) return t("memory.problem.role");
  return t("memory.problem.log");
}

/** @param {unknown} error */
const refused = (error) => error instanceof api.Problem && (error.status === 401 || error.status === 403);

/** @param {unknown} error */
function show(error) {
  const problem = byId("memory-problem");
  problem.textContent = error === null ? "" : told(error);
  problem.hidden = error === null;
}

class Desk {
  constructor() {
    /** @type {Hierarchy | null} */
    this.found = null;
    byId("memory-again").addEventListener("click", () => void this.again());
  }

  async load() {
    const parts = byId("memory-parts");
    parts.setAttribute("aria-busy", "true");
    try {
      this.found = await api.memory();
      show(null);
      parts.hidden = false;
      this.draw();
    } catch (error) {
      show(error);
      if (refused(error)) parts.hidden = true; // what was seen before is not for whoever sits here now
    }
    parts.setAttribute("aria-busy", "false");
  }

  async again() {
    await this.load();
    if (byId("memory-problem").hidden) announce(t("memory.looked"));
  }

  draw() {
    if (this.found === null) return;
    const { engines, library, since } = this.found;
    const rows = engines.flatMap((engine) => engine.rows);
    byId("memory-plots").replaceChildren(
      bars(t("memory.plot.saved"), sums(rows, (row) => row.tokens_saved), t("memory.unit.tokens")),
      bars(t("memory.plot.joules"), sums(rows, (row) => row.joules_saved), t("memory.unit.joules")),
      bars(t("memory.plot.held"), sums(rows, (row) => row.tokens), t("memory.unit.tokens")),
    );
    byId("memory-since").textContent = since === null ? "" : t("memory.since", { time: moment(since) });
    drawEngines(byId("memory-engines"), engines);
    drawLibrary(byId("memory-library"), library);
  }
}

function draw() {
  byId("memory-preferences").replaceChildren(preferences("memory"));
  document.title = `${t("memory.title")} · sovereign`;
}

async function open() {
  draw();
  onLanguage(draw);
  try {
    const session = await api.session();
    await offerLanguages(session.languages);
  } catch (error) {
    show(error);
    return;
  }
  const desk = new Desk();
  onLanguage(() => desk.draw());
  await desk.load();
}

await speak(preferredLanguage());
await open();
