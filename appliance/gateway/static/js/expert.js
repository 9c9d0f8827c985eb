/** The experts' page: what waits, one failure at a time, and how experts agree. */

import * as api from "./api.js";
import { drawAgreement, drawCases } from "./expert_agreement.js";
import { OpenFailure } from "./expert_failure.js";
import { Queue } from "./expert_queue.js";
import { byId } from "./dom.js";
import { onLanguage, speak, t } from "./i18n.js";
import { announce } from "./live.js";
import { offerLanguages, preferences, preferredLanguage } from "./preferences.js";

/** @param {unknown} error */
function told(error) {
  if (error instanceof api.Problem && error.status === 401) return t("expert.problem.signed_out");
  if (error instanceof api.Problem && error.status === 403) return t("expert.problem.role");
  if (error instanceof api.Problem && error.status === 404) return t("expert.problem.gone");
  if (error instanceof api.Problem && error.code === "not_yours_to_decide") return t("expert.problem.not_yours", { detail: error.detail });
  if (error instanceof api.Problem && error.status === 409) return t("expert.problem.contradiction");
  if (error instanceof api.Problem && error.code === "of_other_groups") return t("expert.problem.others", { detail: error.detail });
  if (error instanceof api.Problem && error.status === 422) return t("expert.problem.input", { detail: error.detail });
  return t("expert.problem.other");
}

/** @param {unknown} error */
function show(error) {
  const problem = byId("expert-problem");
  problem.textContent = error === null ? "" : told(error);
  problem.hidden = error === null;
  if (error !== null) problem.scrollIntoView({ block: "nearest" });
}

class Desk {
  constructor() {
    this.queue = new Queue(byId("expert-queue"), (id) => this.open(id));
    this.failure = new OpenFailure(byId("expert-failure"), (id, said) => this.rule(id, said), () => this.queue.focus());
    /** @type {import("./expert_queue.js").Found | null} */
    this.found = null;
  }

  async load() {
    this.found = await api.expert("queue");
    byId("expert-parts").hidden = false;
    this.draw();
  }

  draw() {
    if (this.found === null) return;
    this.queue.draw(this.found);
    this.failure.draw();
    drawAgreement(byId("expert-agreement"), this.found);
    byId("expert-blocked-part").hidden = this.found.blocked.length === 0;
    drawCases(byId("expert-blocked"), this.found.blocked, t("expert.blocked.keep"), (id) => this.keep(id));
    byId("expert-offered-part").hidden = this.found.offered.length === 0;
    drawCases(byId("expert-offered"), this.found.offered, t("expert.offered.accept"), (id) => this.keep(id));
  }

  /** @param {string} id */
  async open(id) {
    try {
      const shown = await api.expert(`failures/${encodeURIComponent(id)}`);
      show(null);
      this.queue.mark(id);
      this.failure.open(shown);
      byId("expert-failure-title").focus({ preventScroll: false });
    } catch (error) {
      show(error);
    }
  }

  /**
   * @param {string} id
   * @param {object} said
   */
  async rule(id, said) {
    try {
      await api.giveRuling(id, said);
      show(null);
      announce(t("expert.kept"));
      const next = this.queue.after(id);
      this.failure.close();
      await this.load();
      if (next === null) this.queue.focus();
      else await this.open(next);
    } catch (error) {
      show(error);
      if (!(error instanceof api.Problem && error.code === "contradicting_cases")) return;
      this.failure.askToDecide(await api.expert(`failures/${encodeURIComponent(id)}`).catch(() => null));
    }
  }

  /** @param {string} id */
  async keep(id) {
    try {
      await api.keepCase(id);
      show(null);
      await this.load();
    } catch (error) {
      show(error);
    }
  }
}

function draw() {
  byId("expert-preferences").replaceChildren(preferences("expert"));
  document.title = `${t("expert.title")} · sovereign`;
}

async function open() {
  draw();
  onLanguage(draw);
  try {
    const session = await api.session();
    await offerLanguages(session.languages);
    const desk = new Desk();
    await desk.load();
    onLanguage(() => desk.draw());
  } catch (error) {
    show(error);
  }
}

await speak(preferredLanguage());
await open();
