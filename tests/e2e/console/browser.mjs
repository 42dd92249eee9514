// Chromium as it comes with the system, alone and without calls home.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(process.env.DOMICILE_TEST_CONSOLE + "/");
const { chromium } = require("playwright-core");
export const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

const QUIET = ["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];

export function launch() {
  return chromium.launch({ executablePath: process.env.DOMICILE_TEST_CHROMIUM, args: QUIET, chromiumSandbox: false });
}

const RULES = { runOnly: { type: "tag", values: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] }, resultTypes: ["violations"] };

// What keeps somebody out of the page as it is now. The page has `axe`.
export async function look(page, when) {
  const wrong = [];
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  if (overflow > 0) wrong.push(`${overflow} px too wide ${when}`);
  const { violations } = await page.evaluate((rules) => globalThis.axe.run(document, rules), RULES);
  for (const { id, nodes } of violations) {
    for (const { target, failureSummary } of nodes.slice(0, 3)) {
      wrong.push(`${id} ${when}: ${target.join(" ")}: ${failureSummary.replace(/\s+/g, " ")}`);
    }
  }
  return wrong;
}
