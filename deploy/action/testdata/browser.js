'use strict';
// A later step with a browser, as the tests of a web shop have it: the proxy comes from PROXY_SERVER. Opens the pages that
// are named, prints what it saw of each as a line of JSON, and leaves a picture of the last.

const { chromium } = require('playwright-core');

async function visit(page, url) {
  try {
    const answer = await page.goto(url, { timeout: 30_000 });
    await page.waitForFunction(() => document.body.dataset.loaded === 'yes', null, { timeout: 30_000 });
    return { url, status: answer.status(), title: await page.title(), text: await page.innerText('#live') };
  } catch (error) {
    return { url, error: error.message.split('\n')[0] };
  }
}

async function main(executablePath, key, picture, urls) {
  const server = process.env.PROXY_SERVER;
  const browser = await chromium.launch({
    executablePath,
    proxy: server ? { server, bypass: 'localhost,127.0.0.1' } : undefined,
    args: [
      '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
      '--disable-component-update', '--disable-sync', `--ignore-certificate-errors-spki-list=${key}`,
    ],
  });
  try {
    const page = await browser.newPage({ viewport: { width: 900, height: 500 } });
    for (const url of urls) {
      console.log(JSON.stringify(await visit(page, url)));
    }
    if (picture) {
      await page.screenshot({ path: picture });
    }
  } finally {
    await browser.close();
  }
}

const [, , executablePath, key, picture, ...urls] = process.argv;
main(executablePath, key, picture, urls).catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
