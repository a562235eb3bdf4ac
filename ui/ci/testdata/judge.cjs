// Says which data on standard input, {name: [schema, [title, data]…]}, do not fit their schema: a line for each.
const Ajv = require("ajv");
for (const [name, [schema, ...all]] of Object.entries(JSON.parse(require("fs").readFileSync(0)))) {
  const fits = new Ajv({ strict: false, unicodeRegExp: false, validateFormats: false, code: { optimize: false } }).compile(schema);
  for (const [title, data] of all) if (!fits(data)) console.log(title + name + ": " + JSON.stringify(fits.errors));
}
