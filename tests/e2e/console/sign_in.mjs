// Signs in at an OpenID provider and out again; says, as JSON on its standard output, what was wrong and whom the console took the reader for.
//
// Its one argument is JSON: { url, provider: its address, shots: folder or null }.
import { axe, launch, look } from "./browser.mjs";

const { url, provider, shots } = JSON.parse(process.argv[2]);
const wrong = [];
const must = (holds, what) => holds || wrong.push(what);

const browser = await launch();
const page = await (await browser.newContext({ viewport: { width: 1440, height: 900 } })).newPage();
page.on("pageerror", (error) => wrong.push(String(error)));
page.on("console", (message) => message.type() === "error" && !/status of 401/.test(message.text()) && wrong.push(message.text()));
page.on("request", (request) => [url, provider].some((own) => request.url().startsWith(own)) || wrong.push(`a request to elsewhere: ${request.url()}`));

const wanted = `${url}/console/ledger?class=queries`;
const link = page.getByRole("link", { name: "Sign in with your organisation" });
await page.goto(wanted);
must(new URL(page.url()).pathname === "/console/login", "strangers are let in");
must(await link.isVisible(), "the sign-in page does not show the way to the provider");
await page.evaluate(axe);
wrong.push(...(await look(page, "sign in")));
if (shots) await page.screenshot({ path: `${shots}/sign-in-provider.png` });
await page.fill("#token", "no such token");
await page.click("button.primary");
must(await link.isVisible(), "after a wrong token the way to the provider is gone");

await page.goto(wanted);
await link.focus();
await page.keyboard.press("Enter");
await page.waitForURL(wanted);
const who = await page.locator(".leave bdi").textContent();
const role = await page.locator(".leave .role").textContent();
must(await page.getByRole("link", { name: "Findings" }).isVisible(), "the role does not see its pages");

await page.click("form.leave button");
await page.waitForURL(`${url}/console/login`);
await page.goto(wanted);
must(new URL(page.url()).pathname === "/console/login", "the session outlives signing out");
await browser.close();
console.log(JSON.stringify({ wrong, who, role }));
