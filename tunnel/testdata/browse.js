'use strict';
// Opens pages in one Chromium by Playwright and prints what it saw of each as a line of JSON: its answer and text, the answers
// to everything that it is made of, and what failed. The proxy is Playwright's option as the documentation writes it, or else a
// flag of Chromium's.

const { chromium } = require('playwright-core');

async function visit(browser, url) {
  const page = await browser.newPage();
  const seen = { url, parts: {}, failed: [] };
  page.on('response', (answer) => { seen.parts[answer.url()] = answer.status(); });
  page.on('requestfailed', (request) => { seen.failed.push(`${request.url()}: ${request.failure().errorText}`); });
  page.on('console', (message) => { if (message.type() === 'error') seen.failed.push(message.text()); });
  try {
    const answer = await page.goto(url, { timeout: 60_000, waitUntil: 'load' });
    await page.waitForFunction(() => document.body.dataset.loaded === 'yes', null, { timeout: 60_000 });
    seen.status = answer.status();
    seen.text = await page.innerText('#at');
    seen.broken = await page.evaluate(() => [...document.images].filter((i) => i.naturalWidth === 0).length);
  } catch (error) {
    seen.error = error.message.split('\n')[0];
  } finally {
    await page.close();
  }
  return seen;
}

async function main(executablePath, option, flag, urls) {
  const browser = await chromium.launch({
    executablePath,
    ...(option ? new Function(`return {${option}}`)() : {}),
    args: [
      '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
      '--disable-component-update', '--disable-sync', ...(flag ? [flag] : []),
    ],
  });
  try {
    for (const url of urls) {
      console.log(JSON.stringify(await visit(browser, url)));
    }
  } finally {
    await browser.close();
  }
}

const [, , executablePath, option, flag, ...urls] = process.argv;
main(executablePath, option, flag, urls).catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
