// Keeps what is shown up to date: while the page is seen, nobody has paused it, and without moving a row.
"use strict";
const note = document.getElementById("updating");
if (note && !document.querySelector('meta[http-equiv="refresh"]')) {
  const updated = document.getElementById("updated");
  const pause = document.createElement("button");
  const ANSWERED_WITHIN = 10_000;
  let paused = false, failures = 0, timer = 0;

  const ask = async () => {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" }, redirect: "manual", signal: AbortSignal.timeout(ANSWERED_WITHIN) });
    if (answer.type === "opaqueredirect") { location.reload(); throw new Error("signed out"); }
    if (!answer.ok) throw new Error(answer.status);
    return new DOMParser().parseFromString(await answer.text(), "text/html");
  };

  const isInUse = (row) => row.matches(":hover") || row.contains(document.activeElement);

  const show = (fresh) => {
    const counts = document.getElementById("counts");
    if (!counts.contains(document.activeElement)) counts.replaceWith(fresh.getElementById("counts"));
    const rows = new Map([...fresh.querySelectorAll("[data-source]")].map((row) => [row.dataset.source, row]));
    const shown = [...document.querySelectorAll("[data-source]")];
    const isOtherOrder = shown.length !== rows.size || shown.some((row, at) => row.dataset.source !== [...rows.keys()][at]);
    for (const row of shown) {
      const newer = rows.get(row.dataset.source);
      if (newer && !isInUse(row) && newer.innerHTML !== row.innerHTML) row.replaceWith(newer);
    }
    updated.textContent = fresh.getElementById("updated").textContent;
    if (isOtherOrder) {
      const again = document.createElement("a");
      again.href = location.pathname + location.search;
      again.textContent = "Other rows belong here by now: show them";
      updated.append(" ", again);
    }
  };

  const tick = async () => {
    clearTimeout(timer);
    if (paused || document.hidden) return;
    try {
      show(await ask());
      failures = 0;
    } catch (error) {
      failures += 1;
      updated.textContent = "This is not up to date: the server does not answer.";
    }
    timer = setTimeout(tick, note.dataset.every * 1000 * Math.min(2 ** failures, 20));
  };

  document.getElementById("refresh").replaceWith(pause);
  pause.type = "button";
  pause.className = "plain";
  pause.textContent = "Pause updates";
  pause.addEventListener("click", () => {
    paused = !paused;
    pause.textContent = paused ? "Go on updating" : "Pause updates";
    tick();
  });
  document.addEventListener("visibilitychange", tick);
  timer = setTimeout(tick, note.dataset.every * 1000);
}
