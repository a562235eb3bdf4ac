'use strict';
// Closes what main.js opened. Runs whatever happened to the job, and whatever happens here only warns.

const { spawnSync } = require('node:child_process');
const { part, summarize } = require('./job.js');
const { annotate, state } = require('./runner.js');

const patience = 60_000; // milliseconds: down waits 15 s for a holder that hangs, and then ends its sessions; a cancelled job has about five minutes for all of its post steps

function close(program, name) {
  const { error, status, signal } = spawnSync(program, ['down', name], {
    stdio: ['ignore', 'inherit', 'inherit'], timeout: patience, killSignal: 'SIGKILL', env: { ...process.env, GITHUB_STEP_SUMMARY: part(name) },
  });
  if (error?.code === 'ETIMEDOUT') {
    return `culvert down did not end within ${patience / 1000} s`;
  }
  if (error) {
    return error.message;
  }
  return status === 0 ? '' : `culvert down ended with ${signal ?? `code ${status}`}`;
}

if (state('name')) {
  const problem = close(state('program'), state('name'));
  if (problem) {
    annotate('warning', `${problem}. The runner ends the process; a session that is left ends by the account's idle timeout.`);
  }
}
if (state('first') === 'true') {
  try {
    summarize();
  } catch (error) {
    annotate('warning', `the summary could not be written: ${error.message}`);
  }
}
