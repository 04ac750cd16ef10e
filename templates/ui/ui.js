"use strict";
(() => {
  const notice = document.getElementById("notice");
  const connection = document.getElementById("connection");
  const refresh = document.getElementById("refresh");

  const say = (text) => {
    notice.textContent = text;
    notice.hidden = !text;
  };

  // Refresh the page's regions when the emulator's data changes, while the page is visible.
  let stream = null;
  let busy = false;
  let again = false;
  const changed = () => {
    if (busy) again = true;
    else {
      busy = true;
      htmx.trigger(refresh, "changed");
    }
  };
  const open = () => {
    if (stream || document.hidden || !document.body.dataset.live) return;
    stream = new EventSource(document.body.dataset.live);
    stream.onopen = () => { connection.textContent = "Live"; };
    stream.onmessage = changed;
    stream.onerror = () => { connection.textContent = "Not connected"; };
  };
  const close = () => {
    if (stream) stream.close();
    stream = null;
  };
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  window.addEventListener("pagehide", close);
  window.addEventListener("pageshow", open);

  document.body.addEventListener("htmx:afterRequest", (event) => {
    if (event.target !== refresh) return;
    busy = false;
    if (again) {
      again = false;
      changed();
    }
  });

  // An unchanged page is left alone, so that a selection or an open element is not lost.
  let last = "";
  document.body.addEventListener("htmx:beforeSwap", (event) => {
    if (event.detail.xhr.status >= 400) return;
    const text = event.detail.xhr.responseText;
    if (event.target === refresh && text === last) event.detail.shouldSwap = false;
    last = text;
  });

  // Open elements stay open, and a conversation stays at its end.
  let opened = [];
  document.body.addEventListener("htmx:oobBeforeSwap", (event) => {
    opened = [...event.detail.target.querySelectorAll("details[open][id]")].map((element) => element.id);
  });
  document.body.addEventListener("htmx:oobAfterSwap", () => {
    for (const id of opened) {
      const found = document.getElementById(id);
      if (found) found.open = true;
    }
    scroll();
  });
  const timeline = () => document.querySelector("[data-follow]");
  let following = true;
  document.addEventListener("scroll", (event) => {
    const shown = timeline();
    if (shown && event.target === shown) following = shown.scrollHeight - shown.scrollTop - shown.clientHeight < 60;
  }, true);
  const scroll = () => {
    const shown = timeline();
    if (shown && following) shown.scrollTop = shown.scrollHeight;
  };
  scroll();

  // Forms: the key against other sites, errors, and fields that are emptied once they were sent.
  document.body.addEventListener("htmx:configRequest", (event) => {
    event.detail.headers["X-Form-Key"] = document.body.dataset.formKey;
  });
  document.body.addEventListener("htmx:responseError", (event) => {
    const page = new DOMParser().parseFromString(event.detail.xhr.responseText, "text/html");
    const problem = page.getElementById("problem");
    say(problem ? problem.textContent : `The emulator answered ${event.detail.xhr.status}.`);
  });
  document.body.addEventListener("htmx:sendError", () => say("The emulator does not answer."));
  document.body.addEventListener("htmx:afterRequest", (event) => {
    if (!event.detail.successful) return;
    if (event.target !== refresh) say("");
    if (event.target.matches("form[data-reset]")) event.target.reset();
  });
  document.body.addEventListener("change", (event) => {
    if (event.target.matches("select[data-submit]")) event.target.form.requestSubmit();
  });
  document.body.addEventListener("click", async (event) => {
    const button = event.target.closest("button[data-copy]");
    if (!button) return;
    const label = button.textContent;
    await navigator.clipboard.writeText(button.dataset.copy);
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = label; }, 1500);
  });
  const here = document.querySelector("nav [aria-current]");
  if (here) here.scrollIntoView({ block: "nearest", inline: "center", behavior: "instant" });
  open();
})();
