/** Who is signed in, the settings of this browser, and signing out. */

import * as api from "./api.js";
import { offerBringing } from "./bringing.js";
import { byId } from "./dom.js";
import { forgetDrafts } from "./drafts.js";
import { preferences } from "./preferences.js";

export class Account {
  /**
   * @param {api.Session} session
   * @param {(error: unknown) => void} onError
   */
  constructor(session, onError) {
    const { user, site } = session;
    this.onError = onError;
    byId("site-name").textContent = site.name;
    byId("account-name").textContent = user.name;
    byId("account-groups").textContent = user.groups.join(", ");
    byId("auditor-link").hidden = !user.roles.includes("auditor");
    byId("memory-link").hidden = !user.roles.includes("admin");
    byId("expert-link").hidden = !user.roles.includes("expert");
    byId("brief-link").hidden = !user.roles.includes("expert");
    offerBringing(session.brings, onError);
    byId("sign-out").addEventListener("click", () => this.#signOut());
    this.draw();
  }

  /** Build the settings again, after a change of language. */
  draw() {
    byId("account-preferences").replaceChildren(preferences("account"));
  }

  /** End the session here and at the sign-in service; nothing typed stays behind in this tab. */
  async #signOut() {
    try {
      const { redirect } = await api.signOut();
      forgetDrafts();
      location.assign(redirect ?? "/");
    } catch (error) {
      if (error instanceof api.Problem && error.status === 401) location.assign("/");
      else this.onError(error);
    }
  }
}
