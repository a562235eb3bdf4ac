'use strict';
// The released program for this machine: which one, from where, and whether it is to be trusted.
//
// Three things can vouch for an archive. release.json, which stands in this very repository and was committed with the
// release: whoever pins the action by commit has pinned the program. The input sha256. And for any other version the
// provenance or signature of the release, which gh or cosign checks: a list of checksums vouches for nothing by itself, as
// who replaces the archive replaces the list.

const { createHash } = require('node:crypto');
const { execFileSync, spawnSync } = require('node:child_process');
const fs = require('node:fs');
const http = require('node:http');
const path = require('node:path');
const { setTimeout: pause } = require('node:timers/promises');

const systems = { linux: 'linux', darwin: 'darwin', win32: 'windows' };
const processors = { x64: 'amd64', arm64: 'arm64' };
const tries = 5;
const digest = (bytes) => createHash('sha256').update(bytes).digest('hex');

/** One request: the answer, or what was wrong and whether another may do better. */
async function ask(url, options) {
  try {
    const answer = await fetch(url, { ...options, signal: AbortSignal.timeout(120_000) });
    if (answer.ok || (answer.status >= 300 && answer.status < 400)) {
      return { headers: answer.headers, body: Buffer.from(await answer.arrayBuffer()) };
    }
    return { problem: `${answer.status} ${answer.statusText}`, status: answer.status, again: answer.status >= 500 || answer.status === 429 };
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
      const secret = [401, 403, 404].includes(answer.status) ? (options?.headers ? '; the input token may not read that repository' : '; where that repository is private, set the input token') : '';
      throw new Error(`download ${url}: ${answer.problem}${secret}`);
    }
    console.log(`download ${url}: ${answer.problem}; trying again`);
    await pause(250 * 2 ** attempt);
  }
}

/**
 * Where releases are: pages and files below a URL, or with a token, which private repositories want, GitHub's API of the same
 * server. The token goes nowhere else: fetch drops it where it is sent on to a storage.
 */
function shelf(releases, token) {
  if (!token) {
    return {
      newest: async () => /\/tag\/v([^/]+)$/.exec((await get(`${releases}/latest`, { redirect: 'manual' })).headers.get('location') ?? '')?.[1],
      file: async (version, name) => (await get(`${releases}/download/v${version}/${name}`)).body,
    };
  }
  const { origin, pathname } = new URL(releases);
  const [, repository] = /^(\/[^/]+\/[^/]+)\/releases$/.exec(pathname) ?? [];
  if (!repository) {
    throw new Error(`the input token is for GitHub's releases, and ${releases} is none of them`);
  }
  const { GITHUB_SERVER_URL: server, GITHUB_API_URL: own } = process.env;
  const api = origin === 'https://github.com' ? 'https://api.github.com' : own && server && new URL(server).origin === origin ? own : `${origin}/api/v3`;
  const headers = { Authorization: `Bearer ${token}`, Accept: 'application/vnd.github+json', 'User-Agent': 'culvert-action' };
  const release = async (which) => JSON.parse((await get(`${api}/repos${repository}/releases/${which}`, { headers })).body);
  let listed;
  return {
    newest: async () => (await release('latest')).tag_name?.replace(/^v/, ''),
    file: async (version, name) => {
      listed ??= release(`tags/v${version}`);
      const asset = (await listed).assets?.find((a) => a.name === name);
      if (!asset) {
        throw new Error(`the release v${version} has no ${name}`);
      }
      return (await get(`${api}/repos${repository}/releases/assets/${Number(asset.id)}`, { headers: { ...headers, Accept: 'application/octet-stream' } })).body;
    },
  };
}

/** The version to install: the one asked for, or that of these sources. */
async function choose(from, wanted, ref, own) {
  if (wanted && wanted !== 'latest') {
    return wanted.replace(/^v/, '');
  }
  if (!wanted && own.version) {
    return own.version;
  }
  if (!wanted) {
    throw new Error(`the action is used as ${ref || 'it stands'}, which no release was made of: use a tag, or set the input version or path`);
  }
  const newest = await from.newest();
  if (!/^\d+\.\d+\.\d+[\w.+-]*$/.test(newest ?? '')) {
    throw new Error('no newest release is named: set the input version');
  }
  return newest;
}

/** Has gh or cosign say that a release of this repository's own workflow is what the checksums are of. Throws where neither does. */
function prove(file, bundle, { repository, server, version, token }) {
  const workflow = `${server}/${repository}/.github/workflows/release.yml`;
  const judges = [
    ['gh', ['attestation', 'verify', file, '--repo', repository, '--signer-workflow', `${repository}/.github/workflows/release.yml`]],
    ['cosign', ['verify-blob', '--bundle', bundle, '--certificate-oidc-issuer', 'https://token.actions.githubusercontent.com',
      '--certificate-identity', `${workflow}@refs/tags/v${version}`, path.join(path.dirname(file), 'checksums.txt')]],
  ];
  const complaints = [];
  for (const [judge, args] of judges) {
    if ((judge === 'cosign' && !fs.existsSync(bundle)) || (judge === 'gh' && !token && !process.env.GH_TOKEN)) {
      continue; // nothing to judge, or nobody to ask
    }
    const { error, status, stderr } = spawnSync(judge, args, { encoding: 'utf8', timeout: 60_000, env: { ...process.env, ...(token && judge === 'gh' ? { GH_TOKEN: token } : {}) } });
    if (error?.code === 'ENOENT') {
      continue;
    }
    if (!error && status === 0) {
      console.log(`${path.basename(file)}: ${judge} has verified who built it`);
      return;
    }
    complaints.push(`${judge}: ${(error?.message ?? stderr).trim().split('\n').at(-1).slice(0, 300)}`);
  }
  const why = complaints.length ? complaints.join('; ') : 'neither gh with the input token nor cosign is here to say who built it';
  throw new Error(`${path.basename(file)} has the checksum that its release lists, but ${why}: it is not run; set the input sha256, or leave version unset`);
}

/** A program that an earlier use of this runner has put there, if it came from the archive that is wanted. */
function cached(home, program, sum) {
  try {
    const [archive, binary] = fs.readFileSync(path.join(home, 'from'), 'utf8').split(/\s+/);
    const there = path.join(home, program);
    return (!sum || archive === sum) && digest(fs.readFileSync(there)) === binary ? there : '';
  } catch {
    return '';
  }
}

/**
 * Finds or downloads the program, and returns its path.
 * @param {{releases: string, repository: string, server: string, version: string, ref: string, sha256: string, token: string, cache: string, temp: string}} from
 */
async function fetchProgram({ releases, repository, server, version: wanted, ref, sha256, token, cache, temp }) {
  http.setGlobalProxyFromEnv?.(); // the proxy that a self-hosted runner may need
  const system = systems[process.platform];
  const processor = processors[process.arch];
  if (!system || !processor) {
    throw new Error(`there is no release for ${process.platform} on ${process.arch}: build culvert and set the input path`);
  }
  const own = JSON.parse(fs.readFileSync(path.join(__dirname, 'release.json'), 'utf8'));
  const from = shelf(releases, token);
  const version = await choose(from, wanted, ref, own);
  if (!/^[\w.+-]+$/.test(version)) {
    throw new Error(`the input version is ${JSON.stringify(version)}, which is none`);
  }
  const name = `culvert_${version}_${system}_${processor}.${system === 'windows' ? 'zip' : 'tar.gz'}`;
  const pinned = version === own.version ? own.sha256[name] : undefined;
  if (version === own.version && !pinned) {
    throw new Error(`release.json of the action does not list ${name}`);
  }
  const want = [pinned, sha256.toLowerCase()].filter(Boolean);
  const program = system === 'windows' ? 'culvert.exe' : 'culvert';
  const home = path.join(cache || temp, 'culvert', version, process.arch);
  if (want.every((sum) => sum === want[0])) {
    const there = cached(home, program, want[0]);
    if (there) {
      console.log(`culvert ${version} is on this runner already`);
      return there;
    }
  }

  const archive = await from.file(version, name);
  const sum = digest(archive);
  for (const expected of want) {
    if (sum !== expected) {
      throw new Error(`${name} has the SHA-256 checksum ${sum}, want ${expected}: it is not run`);
    }
  }
  const directory = fs.mkdtempSync(path.join(temp, 'culvert-'));
  try {
    fs.writeFileSync(path.join(directory, name), archive);
    if (!want.length) {
      const checksums = await from.file(version, 'checksums.txt');
      const listed = checksums.toString().split('\n').map((line) => line.trim().split(/\s+\*?/)).find(([, file]) => file === name)?.[0];
      if (listed?.toLowerCase() !== sum) {
        throw new Error(listed ? `${name} has the SHA-256 checksum ${sum}, want ${listed}: it is not run` : `checksums.txt of the release does not list ${name}`);
      }
      const bundle = path.join(directory, 'checksums.txt.sigstore.json');
      fs.writeFileSync(path.join(directory, 'checksums.txt'), checksums);
      try {
        fs.writeFileSync(bundle, await from.file(version, 'checksums.txt.sigstore.json'));
      } catch (error) {
        console.log(error.message);
      }
      prove(path.join(directory, name), bundle, { repository, server, version, token });
    }
    // Windows has a tar of its own that reads zip files; the one of Git, which may come first, does not.
    const tar = system === 'windows' ? path.join(process.env.SystemRoot, 'System32', 'tar.exe') : 'tar';
    execFileSync(tar, ['-xf', name, program], { cwd: directory, stdio: 'inherit' });
    return keep(path.join(directory, program), home, program, sum);
  } finally {
    fs.rmSync(directory, { recursive: true, force: true });
  }
}

/** Puts a program where later uses find it: in one move, as another job of the same machine may do the same. */
function keep(unpacked, home, program, sum) {
  fs.mkdirSync(path.dirname(home), { recursive: true });
  const fresh = fs.mkdtempSync(`${home}-`);
  fs.copyFileSync(unpacked, path.join(fresh, program));
  fs.chmodSync(path.join(fresh, program), 0o755);
  fs.chmodSync(fresh, 0o755);
  fs.writeFileSync(path.join(fresh, 'from'), `${sum} ${digest(fs.readFileSync(unpacked))}\n`);
  for (let attempt = 1; ; attempt++) {
    try {
      fs.renameSync(fresh, home);
      return path.join(home, program);
    } catch (error) {
      const there = cached(home, program, sum);
      if (there) {
        fs.rmSync(fresh, { recursive: true, force: true });
        return there; // the other job was first
      }
      if (attempt === tries) {
        throw error;
      }
      fs.rmSync(home, { recursive: true, force: true }); // from another archive, or damaged
    }
  }
}

module.exports = { fetchProgram };
