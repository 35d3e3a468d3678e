// Keeps a session's page in step while it is looked at. Without it the page says how to reload it.
"use strict";
(() => {
  const place = document.querySelector("[data-live]");
  if (!place || !window.EventSource) return;
  const note = document.querySelector("[data-live-note]");
  let stream = null;
  let isOver = false;

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
      if (part && part.innerHTML !== fresh.innerHTML && !isInUse(part)) part.replaceChildren(...fresh.childNodes);
    }
  };
  const say = (words) => {
    if (note && note.textContent !== words) note.textContent = words;
  };
  const close = () => {
    if (stream) stream.close();
    stream = null;
  };
  const open = () => {
    if (stream || isOver || document.hidden) return;
    stream = new EventSource(place.dataset.live);
    stream.addEventListener("open", () => say("This page follows the session by itself."));
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
  window.addEventListener("pagehide", close);
  window.addEventListener("pageshow", open);
  open();
})();
