'use strict';
// Opens the tunnels of a job: finds culvert, runs `culvert up`, which sets the outputs, and leaves for post.js what it needs.

const { execFileSync, spawn } = require('node:child_process');
const { randomBytes } = require('node:crypto');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { createInterface } = require('node:readline');
const { fetchProgram } = require('./release.js');
const { enter } = require('./job.js');
const { annotate, append, input, lines, set } = require('./runner.js');

/** Inputs that are flags of `culvert up` by the same name. One that is not set leaves CULVERT_… and config file to decide. */
const flags = [
  'target', 'cluster', 'service', 'task', 'container', 'destinations', 'remote-port', 'remote-host', 'local-port', 'bind', 'role-arn', 'role-duration', 'region',
  'profile', 'endpoint-url', 'wait', 'probe', 'lanes', 'spread', 'relay', 'keep-alive', 'proxy-env', 'no-proxy', 'no-proxy-keep',
  'proxy-user', 'proxy-password-file', 'for', 'config', 'log-level',
  'run', 'ttl', 'subnets', 'security-groups',
];

/** Inputs that are flags of `culvert up`, once for each of their lines. */
const repeated = ['to', 'dynamic', 'via', 'deny', 'warm'];

async function findProgram() {
  const given = input('path');
  const { GITHUB_SERVER_URL: server, GITHUB_ACTION_REPOSITORY, GITHUB_REPOSITORY, GITHUB_ACTION_REF, RUNNER_TEMP, RUNNER_TOOL_CACHE } = process.env;
  let program;
  if (given) {
    program = [given, `${given}.exe`].map((file) => path.resolve(file)).find((file) => fs.existsSync(file));
    if (!program) {
      throw new Error(`the input path names ${path.resolve(given)}, where nothing is`);
    }
  } else {
    const repository = GITHUB_ACTION_REPOSITORY || GITHUB_REPOSITORY;
    program = await fetchProgram({
      releases: input('releases-url').replace(/\/+$/, '') || `${server}/${repository}/releases`,
      repository,
      server,
      version: input('version'),
      ref: GITHUB_ACTION_REF ?? '',
      sha256: input('sha256'),
      token: input('token'),
      cache: RUNNER_TOOL_CACHE,
      temp: RUNNER_TEMP,
    });
  }
  append('GITHUB_PATH', `${inPath(program, RUNNER_TEMP)}\n`);
  return program;
}

/** A directory in which later steps find the program as culvert, whatever its own name is. */
function inPath(program, temp) {
  const name = process.platform === 'win32' ? 'culvert.exe' : 'culvert';
  if (path.basename(program) === name) {
    return path.dirname(program);
  }
  const directory = fs.mkdtempSync(path.join(temp, 'culvert-'));
  if (process.platform === 'win32') {
    fs.copyFileSync(program, path.join(directory, name)); // a link takes a right of its own there
  } else {
    fs.symlinkSync(program, path.join(directory, name));
  }
  return directory;
}

/** What people wrote are inputs: a message about a flag is one about the input of the same name. */
function inInputs(text) {
  return text.replace(/"(?:-\w, )?(--[a-z][a-z0-9-]*)" flag/g, '$1').replace(/(^|[^\w-])--([a-z][a-z0-9-]*)(?![\w-])/g, (whole, before, flag) => (
    [...flags, ...repeated, 'forward'].includes(flag) ? `${before}the input ${flag}` : whole
  )).replaceAll('see culvert up --help', "see the inputs in the action's documentation");
}

/**
 * Passes on what culvert says, each error once: an annotation is shown in the log as well, so the lines that say the same for a
 * terminal are left out.
 */
function passOn() {
  let held = '';
  const errors = [];
  const onLine = (line) => {
    if (/ {2}ended: .*; remedy: /.test(line)) {
      held = line; // the annotation says it, if one follows
      return;
    }
    if (line.startsWith('::error title=culvert::')) {
      held = '';
      errors.push(line);
      line = inInputs(line);
    } else if (errors.length && /^(culvert|remedy): /.test(line)) {
      return;
    }
    if (held && line !== '::endgroup::') {
      console.error(held);
      held = '';
    }
    console.error(line);
  };
  return { onLine, errors };
}

/** Runs the program to its end: its exit code, and what it printed where that is kept. A cancelled job is told to this process alone: it passes it on. */
function run(program, args, { env = process.env, keep = false, onLine = () => {} }) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ['ignore', keep ? 'pipe' : 'inherit', 'pipe'], env });
    const listeners = ['SIGINT', 'SIGTERM'].map((signal) => {
      const listener = () => child.kill(signal);
      process.on(signal, listener);
      return [signal, listener];
    });
    let stdout = '';
    child.stdout?.setEncoding('utf8').on('data', (text) => {
      stdout += text;
    });
    createInterface({ input: child.stderr }).on('line', onLine);
    child.on('error', reject);
    child.on('close', (code) => {
      listeners.forEach(([signal, listener]) => process.off(signal, listener));
      resolve({ code: code ?? 1, stdout });
    });
  });
}

/** Has the doctor look why a tunnel did not get ready: its verdict goes into the log, beside the step and into the summary. */
async function diagnose(program, args, said) {
  const { code, stdout } = await run(program, ['doctor', ...args, '-o', 'json'], { keep: true });
  let found;
  try {
    found = JSON.parse(stdout);
  } catch {
    console.log(`the doctor has no verdict: it ended with code ${code}`);
    return;
  }
  console.log('::group::culvert: what the doctor finds');
  for (const { verdict, name, evidence, error, remedy } of found.checks ?? []) {
    // In front of each line a word of our own: what AWS or a proxy has said is no command to the runner.
    console.log(`${verdict}: ${name}${[...(evidence ?? []), error].filter(Boolean).map((e) => `; ${oneLine(e)}`).join('')}${remedy ? `; remedy: ${oneLine(remedy)}` : ''}`);
  }
  console.log('::endgroup::');
  const { cause } = found;
  const remedy = cause?.remedy ? `\nremedy: ${oneLine(cause.remedy)}` : '';
  const verdict = cause ? `the doctor: ${cause.id ? `${cause.id}: ` : ''}${oneLine(cause.error)}` : 'the doctor finds nothing wrong now: run the job again';
  if (cause && said.includes(oneLine(cause.error))) {
    annotate('notice', `the doctor finds the same${cause.id ? `: ${cause.id}` : ''}`);
  } else {
    annotate(cause ? 'error' : 'notice', verdict + remedy);
  }
  append('GITHUB_STEP_SUMMARY', `### culvert: not ready\n\n${fenced(verdict + remedy)}\n`);
}

const oneLine = (text) => String(text).replace(/[\r\n]+/g, ' ');

/** Text of others as a block of code, which nothing in it ends. */
function fenced(text) {
  const fence = '`'.repeat(Math.max(3, ...[...text.matchAll(/`+/g)].map(([ticks]) => ticks.length + 1)));
  return `${fence}text\n${text}\n${fence}`;
}

async function main() {
  const program = await findProgram();
  console.log(execFileSync(program, ['version'], { encoding: 'utf8' }).trimEnd());
  if (input('install-only') === 'true') {
    return 0;
  }
  // A name of its own for every use: several in one job do not meet, nor do several runners on one machine. Written before
  // anything is opened, so that post.js knows it whatever becomes of this process.
  const name = `${label()}-${randomBytes(4).toString('hex')}`;
  set('GITHUB_STATE', 'program', program);
  set('GITHUB_STATE', 'name', name);
  if (enter()) {
    set('GITHUB_STATE', 'first', 'true');
  }

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
  for (const flag of repeated) {
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
  if (process.env.RUNNER_DEBUG === '1' && !input('log-level')) {
    args.push('--log-level', 'debug');
  }
  const { onLine, errors } = passOn();
  const { code } = await run(program, args, { env: { ...process.env, GITHUB_STEP_SUMMARY: os.devNull }, onLine }); // post.js has the whole
  if (code === unready || code === failed) {
    await diagnose(program, question(), errors.join('\n'));
  }
  return code;
}

/** The exit codes of culvert after which the doctor has something to look at. */
const unready = 124;
const failed = 125;

/** What the doctor is asked, of what was to be opened. */
function question() {
  const args = lines('saved').slice(0, 1);
  for (const flag of ['target', 'cluster', 'service', 'task', 'container', 'remote-port', 'remote-host', 'role-arn', 'role-duration', 'region', 'profile', 'endpoint-url', 'config']) {
    if (input(flag)) {
      args.push(`--${flag}`, input(flag));
    }
  }
  if (lines('dynamic').length) {
    args.push('--dynamic', '0');
  } else if (lines('forward').length) {
    args.push('--forward', lines('forward')[0]);
  }
  if (/^https?:\/\//.test(input('probe'))) {
    args.push('--probe', input('probe'));
  }
  return [...args, '--wait', '60s'];
}

/** The id of the step, by which its row is found in the summary; a step without one has the action's name. */
function label() {
  const { GITHUB_ACTION: id = '' } = process.env;
  return /^[A-Za-z][\w-]{0,19}$/.test(id) ? id : 'action';
}

main().then((code) => {
  process.exitCode = code;
}, (error) => {
  annotate('error', error.message);
  process.exitCode = 1;
});
