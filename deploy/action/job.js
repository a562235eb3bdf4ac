'use strict';
// What the uses of the action in one job have in common: the table in the job's summary. A use leaves its part in
// RUNNER_TEMP, and the post step of the first use, which the runner runs last, writes the whole.

const fs = require('node:fs');
const path = require('node:path');
const { append } = require('./runner.js');

/** The directory of this job, by what the runner tells its processes from others' by. Whoever makes it is the first use. */
function place() {
  const { RUNNER_TEMP, RUNNER_TRACKING_ID, GITHUB_RUN_ID } = process.env;
  return path.join(RUNNER_TEMP, `culvert-job-${(RUNNER_TRACKING_ID || GITHUB_RUN_ID || '').replace(/\W/g, '')}`);
}

/** Enters a use; true for the first one of the job. */
function enter() {
  try {
    fs.mkdirSync(place());
    return true;
  } catch {
    return false;
  }
}

/** Where a program writes the summary of a use instead of into the step's. */
function part(name) {
  fs.mkdirSync(place(), { recursive: true });
  return path.join(place(), `${name}.md`);
}

/** Texts of one form as one: rows of tables with the same head below each other, each with the name of its use; then the rest. */
function merge(parts) {
  const tables = new Map();
  const rest = [];
  for (const [name, text] of parts) {
    let rows;
    for (const line of text.split('\n')) {
      if (!line.startsWith('|')) {
        rows = undefined;
        if (line.trim() && !line.startsWith('### ')) {
          rest.push(`**${name}**: ${line}`);
        }
      } else if (rows === undefined) {
        tables.set(line, tables.get(line) ?? []);
        rows = tables.get(line);
        rows.rule = undefined;
      } else if (rows.rule === undefined) {
        rows.rule = line;
      } else {
        rows.push(`| ${name} ${line}`);
      }
    }
  }
  const blocks = [...tables].map(([head, rows]) => [`| use ${head}`, `| --- ${rows.rule}`, ...rows].join('\n'));
  return [...blocks, rest.join('\n\n')].filter(Boolean).join('\n\n');
}

/** Writes what the uses of the job have left, by name. */
function summarize() {
  const parts = [];
  for (const file of fs.readdirSync(place()).filter((f) => f.endsWith('.md'))) {
    const text = fs.readFileSync(path.join(place(), file), 'utf8');
    if (text) {
      // The name that people see is that of the step, behind the file's own.
      parts.push([file.slice(0, -'.md'.length).replace(/-[0-9a-f]{8}$/, ''), text]);
    }
  }
  parts.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  if (parts.length) {
    append('GITHUB_STEP_SUMMARY', `### culvert\n\n${merge(parts)}\n`);
  }
  fs.rmSync(place(), { recursive: true, force: true });
}

module.exports = { enter, part, summarize };
