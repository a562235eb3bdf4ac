'use strict';
// The released program for this machine, with its checksum verified.

const { createHash } = require('node:crypto');
const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const http = require('node:http');
const path = require('node:path');
const { setTimeout: pause } = require('node:timers/promises');

const systems = { linux: 'linux', darwin: 'darwin', win32: 'windows' };
const processors = { x64: 'amd64', arm64: 'arm64' };
const tries = 5;

/** One request: the answer, or what was wrong and whether another may do better. */
async function ask(url, options) {
  try {
    const answer = await fetch(url, { ...options, signal: AbortSignal.timeout(120_000) });
    if (answer.ok || (answer.status >= 300 && answer.status < 400)) {
      return { headers: answer.headers, body: Buffer.from(await answer.arrayBuffer()) };
    }
    return { problem: `${answer.status} ${answer.statusText}`, again: answer.status >= 500 || answer.status === 429 };
  } catch (error) {
    return { problem: error.cause?.message || error.message, again: true };
  }
}

async function get(url, options) {
  for (let attempt = 1; ; attempt++) {
    const answer = await ask(url, options);
    if (!answer.problem) {
      return answer;
    }
    if (!answer.again || attempt === tries) {
      throw new Error(`download ${url}: ${answer.problem}`);
    }
    console.log(`download ${url}: ${answer.problem}; trying again`);
    await pause(250 * 2 ** attempt);
  }
}

/** The version to install: the one asked for, that of the action's own tag, or the newest. */
async function choose(releases, wanted, ref) {
  if (wanted && wanted !== 'latest') {
    return wanted.replace(/^v/, '');
  }
  if (!wanted && /^v\d+\.\d+\.\d+/.test(ref)) {
    return ref.slice(1);
  }
  const { headers } = await get(`${releases}/latest`, { redirect: 'manual' });
  const newest = /\/tag\/v([^/]+)$/.exec(headers.get('location') ?? '')?.[1];
  if (!newest) {
    throw new Error(`${releases}/latest names no release: set the input version`);
  }
  const major = /^v(\d+)$/.exec(ref)?.[1];
  if (!wanted && major && major !== newest.split('.')[0]) {
    throw new Error(`the action is used as v${major}, but the newest release is ${newest}: set the input version`);
  }
  return newest;
}

/** Throws unless the archive has the checksum that the release lists, and the one that the workflow expects, if any. */
function verify(archive, name, checksums, expected) {
  const listed = checksums.split('\n').map((line) => line.trim().split(/\s+\*?/)).find(([, file]) => file === name)?.[0];
  if (!listed) {
    throw new Error(`checksums.txt of the release does not list ${name}`);
  }
  const sum = createHash('sha256').update(archive).digest('hex');
  for (const want of [listed, expected].filter(Boolean)) {
    if (sum !== want.toLowerCase()) {
      throw new Error(`${name} has the SHA-256 checksum ${sum}, want ${want}: it is not run`);
    }
  }
}

/**
 * Downloads and unpacks the program into a new directory below into, and returns its path.
 * @param {{releases: string, version: string, ref: string, sha256: string, into: string}} from
 */
async function fetchProgram({ releases, version: wanted, ref, sha256, into }) {
  http.setGlobalProxyFromEnv?.(); // the proxy that a self-hosted runner may need
  const system = systems[process.platform];
  const processor = processors[process.arch];
  if (!system || !processor) {
    throw new Error(`there is no release for ${process.platform} on ${process.arch}: build culvert and set the input path`);
  }
  const version = await choose(releases, wanted, ref);
  const name = `culvert_${version}_${system}_${processor}.${system === 'windows' ? 'zip' : 'tar.gz'}`;
  const files = `${releases}/download/v${version}`;
  const [archive, checksums] = await Promise.all([get(`${files}/${name}`), get(`${files}/checksums.txt`)]);
  verify(archive.body, name, checksums.body.toString(), sha256);

  const directory = fs.mkdtempSync(path.join(into, 'culvert-'));
  fs.writeFileSync(path.join(directory, name), archive.body);
  const program = system === 'windows' ? 'culvert.exe' : 'culvert';
  // Windows has a tar of its own that reads zip files; the one of Git, which may come first, does not.
  const tar = system === 'windows' ? path.join(process.env.SystemRoot, 'System32', 'tar.exe') : 'tar';
  execFileSync(tar, ['-xf', name, program], { cwd: directory, stdio: 'inherit' });
  fs.rmSync(path.join(directory, name));
  return path.join(directory, program);
}

module.exports = { fetchProgram };
