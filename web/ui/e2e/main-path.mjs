// The main path through the dashboard in a real browser: overview, hop, order
// with its waterfall, a decoded message, losses, SQL, CSV.
//
//   BASE_URL=http://127.0.0.1:8321 SCREENSHOT_DIR=shots node e2e/main-path.mjs
//
// CHROMIUM names the browser, /usr/bin/chromium unless set. Fails on any error
// on the console, any answer that is an error, and any request elsewhere.

import assert from "node:assert/strict";
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { chromium } from "playwright-core";

const base = new URL(process.env.BASE_URL ?? "http://127.0.0.1:8321");
const shots = process.env.SCREENSHOT_DIR;
const scheme = process.env.COLOR_SCHEME === "dark" ? "dark" : "light";

const FLAGS = [
  "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync",
];

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: FLAGS,
  timeout: 60_000,
});
const context = await browser.newContext({
  viewport: { width: 1440, height: 1000 },
  colorScheme: scheme,
  acceptDownloads: true,
});
const page = await context.newPage();
page.setDefaultTimeout(30_000);

const wrong = [];
page.on("console", (message) => {
  if (message.type() === "error" || message.type() === "warning") wrong.push(`console: ${message.text()}`);
});
page.on("pageerror", (error) => wrong.push(`page: ${error.message}`));
page.on("request", (request) => {
  const url = new URL(request.url());
  if (!["data:", "blob:"].includes(url.protocol) && url.origin !== base.origin) wrong.push(`request elsewhere: ${url}`);
});
page.on("response", (response) => {
  if (response.status() >= 400) wrong.push(`${response.status()} ${response.url()}`);
});

let taken = 0;
async function shot(name) {
  if (!shots) return;
  await mkdir(shots, { recursive: true });
  const number = String(++taken).padStart(2, "0");
  await page.screenshot({ path: join(shots, `${number}-${name}.png`) });
}

const at = (id) => page.getByTestId(id);

async function overview() {
  await page.goto(base.href);
  await at("health-capture").waitFor();
  await at("hop-card").first().waitFor();
  assert.ok((await at("health").locator(".tile").count()) >= 5, "five areas have a light");
  const [first] = await at("health").locator(".tile strong").allTextContents();
  assert.equal(first, "capture", "capture health comes first");
  await shot("overview");
  await page.getByTestId("captures").scrollIntoViewIfNeeded();
  await shot("overview-below");
}

async function hop() {
  await at("hop-card").first().click();
  await at("histogram").locator("canvas").waitFor();
  await at("series").locator("canvas").waitFor();
  assert.match(await at("hop-numbers").innerText(), /p99\s+[\d.,−]+ (ns|µs|ms|s)/, "p99 has a unit");
  await shot("hop");
}

async function orders() {
  await at("nav-orders").click();
  await at("orders").locator("tbody tr").first().waitFor();
  await at("sort-tick_to_order_ns").click();
  await page.waitForURL(/sort=tick_to_order_ns/);
  await at("orders").locator("tbody tr").first().waitFor();
  await shot("orders");
  const row = at("orders").locator("tbody tr").first();
  const id = (await row.locator("td").nth(1).innerText()).trim();
  const symbol = (await row.locator("td").nth(2).innerText()).trim();
  await at("search").fill(symbol);
  await page.waitForURL(/q=/);
  const others = at("orders").locator("tbody tr td:nth-child(3)").filter({ hasNotText: symbol });
  for (let tries = 0; tries < 100 && (await others.count()) > 0; tries += 1) {
    await page.waitForTimeout(100);
  }
  assert.equal(await others.count(), 0, `only ${symbol} is found`);
  await at("orders").locator("tbody tr").first().waitFor();
  const found = at("orders").locator("tbody tr", { hasText: id }).first();
  await found.focus();
  await page.keyboard.press("Enter");
  return id;
}

async function order(id) {
  await at("waterfall").waitFor();
  assert.ok((await at("order-title").innerText()).includes(id), "the order that was chosen is shown");
  const observations = at("observation");
  const count = await observations.count();
  assert.ok(count >= 2, "an order is seen more than once");
  assert.ok((await at("waterfall").locator("svg .span").count()) >= 1, "links are drawn");
  await observations.first().focus();
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  await at("observation-pane").locator(".message-head").waitFor();
  await shot("order");
  await at("observation-pane").scrollIntoViewIfNeeded();
  if (await at("fields").count()) await at("fields").locator("tbody tr").nth(1).click();
  await at("fields").or(at("message").locator(".empty")).first().scrollIntoViewIfNeeded();
  await shot("message");
  await at("axis-linear").click();
}

async function losses() {
  await at("nav-losses").click();
  await at("loss-table").waitFor();
  await shot("losses");
  await at("nav-points").click();
  await at("flows").waitFor();
  await shot("points");
}

async function sql() {
  await at("nav-sql").click();
  await at("sql").fill("SELECT link_kind, from_point, to_point, n, p50_ns, p99_ns FROM hops WHERE message_kind = 'all' ORDER BY n DESC");
  await page.keyboard.press("Control+Enter");
  await at("result").locator("tbody tr").first().waitFor();
  const rows = await at("result").locator("tbody tr").count();
  assert.match(await at("elapsed").innerText(), / rows .*in [\d.]+ ms/s);
  await shot("sql");
  const [download] = await Promise.all([page.waitForEvent("download"), at("csv").click()]);
  const lines = (await readFile(await download.path(), "utf8")).trimEnd().split("\r\n");
  assert.equal(lines[0], "link_kind,from_point,to_point,n,p50_ns,p99_ns");
  assert.equal(lines.length, rows + 1, "CSV has every row");
}

/** A wrong statement is answered with a sentence; the browser logs the 400. */
async function wrongSql() {
  const before = wrong.length;
  await at("sql").fill("DROP TABLE messages");
  await at("run").click();
  await at("sql-error").waitFor();
  wrong.splice(before);
}

try {
  await overview();
  await hop();
  await order(await orders());
  await losses();
  await sql();
  assert.deepEqual(wrong, [], "nothing went wrong in the browser");
  await wrongSql();
  console.log(`the main path works in ${scheme}${shots ? `; ${taken} screenshots in ${shots}` : ""}`);
} catch (error) {
  await shot("failed").catch(() => {});
  console.error(wrong.join("\n"));
  console.error(error);
  process.exitCode = 1;
} finally {
  await browser.close();
}
