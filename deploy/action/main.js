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

/** Inputs that are flags of `culvert up` when they are true. */
const switches = ['share', 'start'];

/** Inputs by the letter that is short for their flag. */
const letters = { c: 'cluster', s: 'service', L: 'forward', D: 'dynamic' };

/** What people wrote are inputs: a message about a flag is one about the input of the same name, but for commands that it tells to run. */
function inInputs(text) {
  return text.replaceAll('see culvert up --help', "see the inputs in the action's documentation").replaceAll('set CULVERT_PROXY_PASSWORD', 'set the input proxy-password')
    .replace(/( \(or)? --family[),]/g, '').replace(/("[^"]*") stands for what is saved/g, 'the input saved: $1 stands for what is saved')
    .split(/(\b(?:aws|culvert) [a-z][^(),;%]*)/).map((part, i) => (i % 2 ? part : flagsAsInputs(part))).join('');
}

function flagsAsInputs(text) {
  return text.replace(/"(?:-\w, )?(--[a-z][a-z0-9-]*)" flag/g, '$1').replace(/(^|[^\w-])--([a-z][a-z0-9-]*)(?![\w-])/g, (whole, before, flag) => (
    [...flags, ...repeated, ...switches, 'forward'].includes(flag) ? `${before}the input ${flag}` : whole
  )).replace(/(^|[\s(])-([csLD])(?=[\s),:]|$)/g, (whole, before, letter) => `${before}the input ${letters[letter]}`);
}

const annotated = '::error title=culvert::';

/**
 * Passes on what culvert says, each error once: an annotation is shown in the log as well. What a tunnel says that gives up waits
 * for the annotation that says the same, and is shown without it; the lines that say it for a terminal are left out.
 */
function passOn() {
  const held = [];
  const errors = [];
  const flush = (said = '') => {
    held.splice(0).forEach((line) => console.error(without(line, said)));
  };
  const onLine = (line) => {
    if (/^\S+Z {2}(\S+ \d+ {2}(failed|ended) |ended: )/.test(line) || (held.length && line === '::endgroup::')) {
      held.push(line);
      return;
    }
    if (line.startsWith(annotated)) {
      const text = inInputs(line);
      const said = decoded(text.slice(annotated.length));
      flush(said);
      errors.push(said);
      console.error(text);
      return;
    }
    if (errors.length && /^(culvert|remedy): /.test(line)) {
      return;
    }
    flush();
    console.error(line);
  };
  return { onLine, errors, flush };
}

/** What an annotation says, as annotate escapes it. */
const decoded = (text) => text.replaceAll('%0A', '\n').replaceAll('%0D', '\r').replaceAll('%25', '%');

/** A line of the log up to where it repeats what is said beside the step. */
function without(line, said) {
  const [text] = line.split('; remedy: ');
  for (let at = text.indexOf(': '); at >= 0; at = text.indexOf(': ', at + 1)) {
    if (said.includes(text.slice(at + 2))) {
      return text.slice(0, at);
    }
  }
  return line;
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

/**
 * Has the doctor look why a tunnel did not get ready: what it looked at goes into the log, its verdict beside the step where nobody
 * has said the same before. Returns what it adds to the errors.
 */
async function diagnose(program, args, said) {
  const { code, stdout } = await run(program, ['doctor', ...args, '-o', 'json'], { keep: true });
  let found;
  try {
    found = JSON.parse(stdout);
  } catch {
    console.log(`the doctor has no verdict: it ended with code ${code}`);
    return '';
  }
  const { cause } = found;
  const isSaid = ({ error, remedy }) => said.includes(oneLine(error)) || Boolean(remedy) && said.includes(oneLine(remedy));
  console.log('::group::culvert: what the doctor finds');
  for (const { verdict, name, evidence, error, remedy } of found.checks ?? []) {
    const more = (evidence ?? []).map((e) => `; ${oneLine(e)}`);
    if (error && (isSaid({ error, remedy }) || error === cause?.error)) {
      more.push('; the error beside the step');
    } else {
      more.push(error ? `; ${oneLine(error)}` : '', remedy ? `; remedy: ${oneLine(remedy)}` : '');
    }
    // In front of each line a word of our own: what AWS or a proxy has said is no command to the runner.
    console.log(`${verdict}: ${name}${more.join('')}`);
  }
  console.log('::endgroup::');
  if (cause && isSaid(cause)) {
    const same = `the doctor finds the same${cause.id ? `: ${cause.id}` : ''}`;
    annotate('notice', same);
    return same;
  }
  const remedy = cause?.remedy ? `\nremedy: ${oneLine(cause.remedy)}` : '';
  const verdict = cause ? `the doctor: ${cause.id ? `${cause.id}: ` : ''}${oneLine(cause.error)}` : 'the doctor finds nothing wrong now: run the job again';
  annotate(cause ? 'error' : 'notice', verdict + remedy);
  return verdict + remedy;
}

/** Tells the job's summary why there is no tunnel. */
function summarize(errors) {
  const text = errors.filter(Boolean).join('\n\n');
  if (text) {
    append('GITHUB_STEP_SUMMARY', `### culvert: not ready\n\n${fenced(text)}\n`);
  }
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
  for (const flag of switches) {
    if (input(flag) === 'true') {
      args.push(`--${flag}`);
    }
  }
  if (process.env.RUNNER_DEBUG === '1' && !input('log-level')) {
    args.push('--log-level', 'debug');
  }
  const { onLine, errors, flush } = passOn();
  const { code } = await run(program, args, { env: { ...process.env, GITHUB_STEP_SUMMARY: os.devNull }, onLine }); // post.js has the whole
  flush();
  if (code === unready || code === failed) {
    errors.push(await diagnose(program, question(), errors.join('\n')));
  }
  if (code !== 0) {
    summarize(errors);
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
  summarize([error.message]);
  process.exitCode = 1;
});
