// Orders a relocation and watches its page until it is done; says, as JSON on its standard output, what was seen and what was wrong.
//
// Its one argument is JSON: { url, token, operator: another token, order: the body of the order, shots: folder or null }.
import { axe, launch, look } from "./browser.mjs";

const { url, token, operator, order, shots } = JSON.parse(process.argv[2]);
const wrong = [];
const must = (holds, what) => holds || wrong.push(what);

const browser = await launch();
const page = await (await browser.newContext({ viewport: { width: 1440, height: 900 } })).newPage();
page.on("pageerror", (error) => wrong.push(String(error)));
page.on("console", (message) => message.type() === "error" && wrong.push(message.text()));

await page.goto(`${url}/console/login?next=/console/relocations`);
await page.fill("#token", token);
await page.click("button.primary");
await page.waitForURL(`${url}/console/relocations`);
must(await page.locator("p.empty").isVisible(), "there is a relocation that nobody ordered");

const headers = { authorization: `Bearer ${operator}`, "content-type": "application/json" };
const { id } = await (await fetch(`${url}/v1/relocations`, { method: "POST", headers, body: JSON.stringify(order) })).json();
await page.goto(`${url}/console/relocations/${id}`);
await page.evaluate(() => {
  const part = document.querySelector("article[data-live]");
  const state = () => ({
    state: part.querySelector("[role=status]").textContent.trim(),
    looked: part.querySelector("progress")?.value ?? null,
    moved: Number(part.querySelector(".figures dd")?.firstChild.data ?? 0),
  });
  const seen = [state()];
  const note = () => JSON.stringify(seen.at(-1)) !== JSON.stringify(state()) && seen.push(state());
  new MutationObserver(note).observe(part, { subtree: true, childList: true, characterData: true, attributes: true });
  const held = part.querySelector("h2 a");
  held.focus();
  globalThis.watched = { part, status: part.querySelector("[role=status]"), held, seen };
});

await page.waitForFunction(() => watched.seen.length > 2, null, { timeout: 30_000 });
await page.evaluate(axe);
wrong.push(...(await look(page, "running")));
if (shots) await page.screenshot({ path: `${shots}/relocation-running.png`, fullPage: true });
await page.waitForFunction(() => watched.seen.at(-1).state === "Done", null, { timeout: 60_000 });

const kept = await page.evaluate(() => ({
  part: watched.part.isConnected,
  status: watched.status.isConnected,
  focus: document.activeElement === watched.held,
  live: watched.part.hasAttribute("data-live"),
}));
must(kept.part && kept.status, "the part that a screen reader listens to was taken away");
must(kept.focus, "the focus was lost");
must(!kept.live, "it goes on asking when nothing changes any more");
await page.setViewportSize({ width: 360, height: 740 });
wrong.push(...(await look(page, "done")));
if (shots) await page.screenshot({ path: `${shots}/relocation-done.png`, fullPage: true });
const seen = await page.evaluate(() => watched.seen);
await browser.close();
console.log(JSON.stringify({ wrong, seen }));
