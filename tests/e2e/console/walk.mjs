// Walks every page of the console as every role and says, as JSON on its standard output, what was wrong.
//
// Its one argument is JSON: { url, tokens: { role: token }, pages: [paths beside those of the navigation], shots: folder or null }.
import { mkdirSync } from "node:fs";

import { axe, launch, look as lookAt } from "./browser.mjs";

const { url, tokens, pages, shots } = JSON.parse(process.argv[2]);
const WIDTHS = { 360: 740, 1440: 900, 3840: 2160 };
const THEMES = ["light", "dark"];

const wrong = [];
const seen = {};
let looked = 0;

const browser = await launch();
for (const [role, token] of Object.entries(tokens)) await walk(role, token);
await browser.close();
console.log(JSON.stringify({ wrong, seen, looked }));

async function walk(role, token) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, reducedMotion: "reduce" });
  const page = await context.newPage();
  let where = "/console/login";
  const report = (what) => wrong.push(`${role} ${where}: ${what}`);
  page.on("console", (message) => {
    if (message.type() === "error" && !/status of 4\d\d/.test(message.text())) report(message.text());
  });
  page.on("pageerror", (error) => report(String(error)));
  page.on("dialog", (dialog) => {
    report(`a dialog: ${dialog.message()}`);
    dialog.dismiss();
  });
  page.on("request", (request) => {
    if (!request.url().startsWith(url)) report(`a request to elsewhere: ${request.url()}`);
  });

  await page.goto(`${url}/console`);
  if (new URL(page.url()).pathname !== "/console/login") report("strangers are let in");
  await look(page, role, report, "login");
  // Once: tries from one address are few.
  if (role === "auditor") {
    await page.fill("#token", "no such token");
    await page.click("button.primary");
    if (!(await page.locator("[role=alert]").isVisible())) report("a wrong token is not told of");
  }
  await page.fill("#token", token);
  await page.click("button.primary");
  await page.waitForURL(`${url}/console`);

  const places = await page.$$eval("nav a", (links) => links.map((link) => link.getAttribute("href")));
  seen[role] = places;
  for (where of [...places, ...pages]) {
    const response = await page.goto(url + where, { waitUntil: "load" });
    const status = response.status();
    seen[`${role} ${where}`] = status;
    if (places.includes(where) && status !== 200) report(`status ${status}`);
    const named = places.includes(where);
    if (named || role === "auditor") await look(page, role, report, status === 200 ? name(where) : `refused-${name(where)}`, named);
  }
  where = "/console";
  if (role === "auditor") await use(page, report);
  where = "/console/logout";
  await page.click("form.leave button");
  await page.goto(`${url}/console/policies`);
  if (new URL(page.url()).pathname !== "/console/login") report("the session outlives signing out");
  await context.close();
}

// With the keyboard alone, on a phone, on paper, and in the other theme.
async function use(page, report) {
  const must = (holds, what) => holds || report(what);
  await page.goto(`${url}/console/ledger`);
  await page.keyboard.press("Tab");
  must(await page.evaluate(() => document.activeElement.className === "skip"), "the first stop is not the way to the content");
  await page.keyboard.press("Enter");
  must(await page.evaluate(() => document.activeElement.id === "main"), "the way to the content leads elsewhere");

  await page.setViewportSize({ width: 360, height: 740 });
  must(!(await page.locator("nav").isVisible()), "the navigation is in the way on a phone");
  await page.locator("button.menu").focus();
  await page.keyboard.press("Enter");
  must(await page.locator("nav").isVisible(), "the menu does not open");
  await page.keyboard.press("Tab");
  must(await page.evaluate(() => document.activeElement.closest("nav") !== null), "the menu's pages are not the next stop");
  await page.keyboard.press("Escape");
  must(!(await page.locator("nav").isVisible()), "the menu does not close");
  await page.setViewportSize({ width: 1440, height: 900 });

  const paper = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  await page.emulateMedia({ colorScheme: "light" });
  const light = await paper();
  await page.click("button[value=dark]");
  must((await paper()) !== light, "the theme does not change");
  await page.reload();
  must((await paper()) !== light, "the theme is not kept");
  await page.emulateMedia({ media: "print", colorScheme: "light" });
  must((await paper()) === "rgb(255, 255, 255)" && !(await page.locator("nav").isVisible()), "paper is not white, or has the navigation on it");
  await page.emulateMedia({ media: null });
  await page.click("button[value=auto]");
}

function name(path) {
  return path.replace("/console", "").split("&")[0].replace(/\W+/g, "-").replace(/^-|-$/g, "").slice(0, 40) || "overview";
}

// The auditor's walk is through every width in both themes; the others see the same templates. What the navigation does not have is made of
// the same parts, and looked at once in each width.
async function look(page, role, report, name, everywhere = true) {
  const widths = role === "auditor" ? Object.keys(WIDTHS) : ["1440"];
  const themes = role === "auditor" ? THEMES : ["light"];
  await page.evaluate(axe);
  for (const colorScheme of themes) {
    await page.emulateMedia({ colorScheme });
    for (const width of widths) {
      if (!everywhere && (width === "1440") !== (colorScheme === "dark")) continue;
      await page.setViewportSize({ width: Number(width), height: WIDTHS[width] });
      looked += 1;
      for (const what of await lookAt(page, `at ${width} ${colorScheme}`)) report(what);
      if (shots) {
        mkdirSync(shots, { recursive: true });
        await page.screenshot({ path: `${shots}/${name}-${role}-${width}-${colorScheme}.png`, fullPage: width !== "3840" });
      }
    }
  }
  await page.setViewportSize({ width: 1440, height: 900 });
}
