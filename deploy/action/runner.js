'use strict';
// What the GitHub runner gives to an action and takes from it. Its grammar: docs.github.com, "Workflow commands".

const fs = require('node:fs');
const { randomUUID } = require('node:crypto');

/** The value of an input, trimmed; empty when it is not set. */
function input(name) {
  return (process.env[`INPUT_${name.toUpperCase()}`] ?? '').trim();
}

/** The lines of an input that say something. */
function lines(name) {
  return input(name).split('\n').map((line) => line.trim()).filter(Boolean);
}

/** Appends a text to one of the runner's files. */
function append(file, text) {
  fs.appendFileSync(process.env[file], text);
}

/** Appends name and value to one of the runner's files: GITHUB_OUTPUT, GITHUB_STATE, GITHUB_ENV. */
function set(file, name, value) {
  const end = `end_${randomUUID()}`;
  append(file, `${name}<<${end}\n${value}\n${end}\n`);
}

/** What main left for post. */
function state(name) {
  return process.env[`STATE_${name}`] ?? '';
}

/** Shows an error or a warning beside the step; the text may come from anywhere. */
function annotate(level, text) {
  const escaped = String(text).replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A');
  console.log(`::${level} title=culvert::${escaped}`);
}

module.exports = { annotate, append, input, lines, set, state };
