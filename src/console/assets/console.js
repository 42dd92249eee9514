// The console works without this. It makes markup out of nothing but what the gateway has rendered, and no text.
"use strict";

// The theme changes without a new page.
for (const form of document.querySelectorAll("form.theme")) {
  form.addEventListener("submit", (event) => {
    const wanted = event.submitter;
    if (!wanted) return;
    event.preventDefault();
    const secure = location.protocol === "https:" ? "; Secure" : "";
    document.cookie = `domicile-theme=${wanted.value}; Path=/console; SameSite=Strict; Max-Age=31536000${secure}`;
    document.documentElement.dataset.theme = wanted.value;
    for (const button of form.querySelectorAll("button")) button.setAttribute("aria-pressed", String(button === wanted));
  });
}

// Long names can be copied, where the browser lets a page do so.
if (navigator.clipboard) {
  for (const button of document.querySelectorAll("button[data-copy]")) {
    const label = button.textContent;
    button.hidden = false;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(button.dataset.copy);
      button.textContent = "Copied";
      setTimeout(() => (button.textContent = label), 2000);
    });
  }
}

for (const button of document.querySelectorAll("button[data-print]")) {
  button.hidden = false;
  button.addEventListener("click", () => print());
}

// A part that names where it comes from is asked for again while it says so and somebody looks: each time is a question in the ledger, so
// it is asked less and less often while nothing changes.
const SLOWEST = 10;

function load(path) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("GET", path);
    // Parsed by the browser, without scripts.
    request.responseType = "document";
    request.onload = () => (request.status === 200 && request.response ? resolve(request.response) : reject(new Error(String(request.status))));
    request.onerror = () => reject(new Error("unreachable"));
    request.send();
  });
}

// Makes what is shown the same as what has come, and leaves alone what is the same already: the reader's place, the focus, and the parts that
// a screen reader listens to stay.
function become(shown, fresh) {
  if (shown.nodeType !== fresh.nodeType || shown.nodeName !== fresh.nodeName) return shown.replaceWith(document.importNode(fresh, true));
  if (shown.nodeType !== Node.ELEMENT_NODE) return void (shown.data !== fresh.data && (shown.data = fresh.data));
  for (const { name } of [...shown.attributes]) if (!fresh.hasAttribute(name)) shown.removeAttribute(name);
  for (const { name, value } of fresh.attributes) if (shown.getAttribute(name) !== value) shown.setAttribute(name, value);
  while (shown.childNodes.length > fresh.childNodes.length) shown.lastChild.remove();
  [...fresh.childNodes].forEach((child, place) => {
    const before = shown.childNodes[place];
    if (before) become(before, child);
    else shown.append(document.importNode(child, true));
  });
}

function follow(part, seconds) {
  const again = (pause) => (part.dataset.live ? follow(part, pause) : undefined);
  setTimeout(async () => {
    if (!part.isConnected) return;
    if (document.hidden) {
      document.addEventListener("visibilitychange", () => again(0), { once: true });
      return;
    }
    try {
      const fresh = (await load(part.dataset.live)).getElementById(part.id);
      if (!fresh) return location.reload();
      if (fresh.textContent === part.textContent) return again(Math.min(SLOWEST, seconds * 1.5));
      become(part, fresh);
      again(Number(part.dataset.every) || 2);
    } catch (error) {
      // It is gone, as after a new start of the gateway, or not for this reader any more: the page says so.
      if (["403", "404"].includes(error.message)) return location.reload();
      again(SLOWEST);
    }
  }, seconds * 1000);
}

for (const part of document.querySelectorAll("[data-live]")) follow(part, Number(part.dataset.every) || 2);
