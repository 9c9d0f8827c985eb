/** The beginning: speak the reader's language, ask who is signed in, show the page that follows from that. */

import * as api from "./api.js";
import { openDrafts, returnFromSignIn } from "./drafts.js";
import { speak } from "./i18n.js";
import { offerLanguages, preferredLanguage } from "./preferences.js";
import { hideWelcome, showSignedOut, showUnreachable } from "./welcome.js";
import { Workspace } from "./workspace.js";

/** Code of a sign-in that failed just now; the address is tidied, so that a reload does not repeat it. */
const problem = new URLSearchParams(location.search).get("problem");
if (problem !== null) history.replaceState(null, "", `/${location.hash}`);

async function open() {
  let session;
  try {
    session = await api.session();
  } catch (error) {
    if (error instanceof api.Problem && error.status === 401) showSignedOut(problem);
    else showUnreachable(open);
    return;
  }
  await offerLanguages(session.languages);
  openDrafts(session.user.name);
  returnFromSignIn();
  hideWelcome();
  await new Workspace(session).start();
}

await speak(preferredLanguage());
await open();
