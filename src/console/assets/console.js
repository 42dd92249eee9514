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

function follow(part, seconds) {
  const again = (next, pause) => (next.dataset.live ? follow(next, pause) : undefined);
  setTimeout(async () => {
    if (!part.isConnected) return;
    if (document.hidden) {
      document.addEventListener("visibilitychange", () => again(part, 0), { once: true });
      return;
    }
    try {
      const fresh = (await load(part.dataset.live)).getElementById(part.id);
      if (!fresh) return location.reload();
      const same = fresh.textContent === part.textContent;
      const held = part.contains(document.activeElement);
      if (same || held) return again(part, Math.min(SLOWEST, seconds * 1.5));
      const next = document.importNode(fresh, true);
      part.replaceWith(next);
      again(next, Number(next.dataset.every) || 2);
    } catch {
      again(part, SLOWEST);
    }
  }, seconds * 1000);
}

for (const part of document.querySelectorAll("[data-live]")) follow(part, Number(part.dataset.every) || 2);
