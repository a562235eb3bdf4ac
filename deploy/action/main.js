'use strict';
// Opens the tunnels of a job: finds culvert, runs `culvert up`, which sets the outputs, and leaves for post.js what it needs.

const { execFileSync, spawn } = require('node:child_process');
const { randomBytes } = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');
const { fetchProgram } = require('./release.js');
const { annotate, input, lines, set } = require('./runner.js');

/** Inputs that are flags of `culvert up` by the same name. One that is not set leaves CULVERT_… and config file to decide. */
const flags = [
  'target', 'cluster', 'service', 'task', 'container', 'destinations', 'remote-port', 'remote-host', 'local-port', 'role-arn', 'region',
  'profile', 'endpoint-url', 'wait', 'probe', 'lanes', 'spread', 'keep-alive', 'proxy-env', 'no-proxy', 'no-proxy-keep',
  'proxy-user', 'proxy-password-file', 'for', 'config', 'log-level',
  'run', 'ttl', 'subnets', 'security-groups',
];

async function findProgram() {
  const given = input('path');
  if (given) {
    const program = path.resolve(given);
    if (!fs.existsSync(program)) {
      throw new Error(`the input path names ${program}, where nothing is`);
    }
    return program;
  }
  const { GITHUB_SERVER_URL: server, GITHUB_ACTION_REPOSITORY, GITHUB_REPOSITORY, GITHUB_ACTION_REF, RUNNER_TEMP } = process.env;
  const program = await fetchProgram({
    releases: input('releases-url') || `${server}/${GITHUB_ACTION_REPOSITORY || GITHUB_REPOSITORY}/releases`,
    version: input('version'),
    ref: GITHUB_ACTION_REF ?? '',
    sha256: input('sha256'),
    into: RUNNER_TEMP,
  });
  fs.appendFileSync(process.env.GITHUB_PATH, `${path.dirname(program)}\n`);
  return program;
}

/** Runs the program to its end and returns its exit code. A cancelled job is told to this process alone: it passes it on. */
function run(program, args) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ['ignore', 'inherit', 'inherit'] });
    for (const signal of ['SIGINT', 'SIGTERM']) {
      process.on(signal, () => child.kill(signal));
    }
    child.on('error', reject);
    child.on('exit', (code) => resolve(code ?? 1));
  });
}

async function main() {
  const program = await findProgram();
  console.log(execFileSync(program, ['version'], { encoding: 'utf8' }).trimEnd());
  if (input('install-only') === 'true') {
    return 0;
  }
  // A name of its own for every use: several in one job do not meet, nor do several runners on one machine. Written before
  // anything is opened, so that post.js knows it whatever becomes of this process.
  const name = `action-${randomBytes(4).toString('hex')}`;
  set('GITHUB_STATE', 'program', program);
  set('GITHUB_STATE', 'name', name);

  // Not among the arguments, which everybody on the machine can read. culvert tells the runner to mask it.
  const password = process.env['INPUT_PROXY-PASSWORD'];
  if (password) {
    process.env.CULVERT_PROXY_PASSWORD = password;
  }

  const args = ['up', ...lines('saved'), '--name', name];
  if (process.ppid > 1) {
    args.push('--parent', String(process.ppid)); // the runner's worker: what ends without post.js ends the tunnels too
  }
  for (const forward of lines('forward')) {
    // A port that a workflow names is the one that its steps use: in use, it is an error, not replaced by another.
    args.push('--forward', /^\d+$/.test(forward) ? `${forward}:${forward}` : forward);
  }
  for (const flag of ['dynamic', 'via', 'deny', 'warm']) {
    for (const line of lines(flag)) {
      args.push(`--${flag}`, line);
    }
  }
  for (const flag of flags) {
    if (input(flag)) {
      args.push(`--${flag}`, input(flag));
    }
  }
  for (const flag of ['share', 'start']) {
    if (input(flag) === 'true') {
      args.push(`--${flag}`);
    }
  }
  return run(program, args);
}

main().then((code) => {
  process.exitCode = code;
}, (error) => {
  annotate('error', error.message);
  process.exitCode = 1;
});
