// Keeps a session's page in step while it is looked at. Without it the page says how to reload it.
"use strict";
(() => {
  const place = document.querySelector("[data-live]");
  if (!place || !window.EventSource) return;
  const note = document.querySelector("[data-live-note]");
  // The server says at least every 15 seconds that it is there.
  const HEARD_WITHIN = 40_000;
  const ANSWERED_WITHIN = 10_000;
  const FOLLOWS = "This page follows the session by itself.";
  let stream = null;
  let isOver = false;
  let silence = 0;

  // Only what differs is replaced, and nothing that somebody is at: the focus, a selection and the pointer stay put.
  const isInUse = (part) => {
    const selection = document.getSelection();
    const isSelected = selection && !selection.isCollapsed && part.contains(selection.anchorNode);
    return part.contains(document.activeElement) || isSelected || (part.matches("[data-still]") && part.matches(":hover"));
  };
  const show = (html) => {
    const template = document.createElement("template");
    template.innerHTML = html;
    for (const fresh of template.content.querySelectorAll("[data-part]")) {
      const part = place.querySelector(`[data-part="${fresh.dataset.part}"]`);
      if (!part) continue;
      if (fresh.dataset.of !== undefined) part.dataset.of = fresh.dataset.of;
      if (part.innerHTML !== fresh.innerHTML && !isInUse(part)) part.replaceChildren(...fresh.childNodes);
    }
    showAround();
  };
  // What depends on whoever looks, as the buttons, is not in the stream: it is fetched when the session says otherwise.
  const ofShown = () => place.querySelector("[data-of]").dataset.of;
  let around = ofShown();
  let isAsking = false;
  const showAround = async () => {
    if (isAsking || around === ofShown()) return;
    isAsking = true;
    try {
      const answer = await fetch(location.href, { redirect: "manual", signal: AbortSignal.timeout(ANSWERED_WITHIN) });
      if (!answer.ok) return;
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      let isWhole = true;
      for (const part of document.querySelectorAll("[data-around]")) {
        const newer = fresh.querySelector(`[data-around="${part.dataset.around}"]`);
        if (part.contains(document.activeElement)) isWhole = false;
        else if (newer && newer.innerHTML !== part.innerHTML) part.replaceChildren(...newer.childNodes);
      }
      if (isWhole) around = fresh.querySelector("[data-of]").dataset.of;
    } catch (error) {
      // The next piece of the stream, or the next look at the page, tries again.
    } finally {
      isAsking = false;
    }
  };
  const say = (words) => {
    if (note && note.textContent !== words) note.textContent = words;
  };
  const heard = () => {
    clearTimeout(silence);
    silence = setTimeout(() => say("This is not up to date: the server does not answer."), HEARD_WITHIN);
  };
  const close = () => {
    clearTimeout(silence);
    if (stream) stream.close();
    stream = null;
  };
  const open = () => {
    if (stream || isOver || document.hidden) return;
    stream = new EventSource(place.dataset.live);
    heard();
    for (const name of ["open", "state", "here"]) {
      stream.addEventListener(name, () => {
        heard();
        say(FOLLOWS);
      });
    }
    stream.addEventListener("state", (event) => show(event.data));
    stream.addEventListener("ended", () => {
      isOver = true;
      close();
      say("The session has ended. Reload the page to see all its events.");
    });
    stream.addEventListener("error", () => {
      if (stream && stream.readyState === EventSource.CLOSED) {
        close();
        say("This page does not follow the session any more. Reload it.");
      }
    });
  };
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  document.addEventListener("focusout", () => setTimeout(showAround));
  window.addEventListener("pagehide", close);
  window.addEventListener("pageshow", open);
  open();
})();
