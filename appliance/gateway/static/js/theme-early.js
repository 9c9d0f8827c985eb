/**
 * Runs before the first paint (a classic script on purpose), so that a dark page does not flash white.
 * `preferences.js` owns the key; anything but the two known values means "as the system says".
 */
(() => {
  try {
    const theme = localStorage.getItem("sovereign.theme");
    if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  } catch {
    // Storage is switched off: the system's theme holds.
  }
})();
