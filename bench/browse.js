'use strict';
// Opens a page several times in one Chromium, each time in a tab of its own as a person would, and prints how long each took
// as a line of JSON. The proxy is named by its host and port.

const { chromium } = require('playwright-core');

async function visit(context, url) {
  const page = await context.newPage();
  try {
    const began = process.hrtime.bigint();
    await page.goto(url, { timeout: 60_000, waitUntil: 'load' });
    const ms = Number(process.hrtime.bigint() - began) / 1e6;
    const seen = await page.evaluate(() => {
      const resources = performance.getEntriesByType('resource');
      return {
        sheets: document.styleSheets.length,
        bytes: resources.reduce((sum, entry) => sum + entry.encodedBodySize, 0),
        protocol: [...new Set(resources.map((entry) => entry.nextHopProtocol))].join(' '),
      };
    });
    return { ms, ...seen };
  } finally {
    await page.close();
  }
}

async function main(executablePath, key, server, url, visits) {
  const browser = await chromium.launch({
    executablePath,
    proxy: { server: `http://${server}` },
    args: [
      '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
      '--disable-component-update', '--disable-sync', `--ignore-certificate-errors-spki-list=${key}`,
    ],
  });
  try {
    const context = await browser.newContext();
    for (let n = 0; n < visits; n++) {
      if (n > 0) {
        await new Promise((resolve) => setTimeout(resolve, 1000));
      }
      console.log(JSON.stringify(await visit(context, url)));
    }
  } finally {
    await browser.close();
  }
}

const [, , executablePath, key, server, url, visits] = process.argv;
main(executablePath, key, server, url, Number(visits)).catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
