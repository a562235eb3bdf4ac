// The rules of culvert's proxy for browsers. Nothing is looked up: names are compared as they are written, and blocks of addresses
// with what is asked for as an address. ECMAScript 3, as the engines of some systems are of that age.

// Each pattern: [of names, and all below it, port] or [bytes of an address, how many bits of them, port]; port 0 is any.
var culvertVia = $VIA;
var culvertDeny = $DENY;
// Each prefix of IPv6 that stands for IPv4: [bytes, bits, where that address begins].
var culvertTranslations = $TRANSLATIONS;
var culvertLoopbackNames = $LOOPBACKNAMES;
var culvertLocal = $LOCAL;

function FindProxyForURL(url, host) {
  var h = culvertHost(host), port = culvertPort(url);
  if (culvertIsLocal(h)) {
    return "DIRECT"; // the browser's own business: the proxy connects nobody to it
  }
  if (culvertMatch(culvertDeny, h, port) || culvertVia.length === 0 || culvertMatch(culvertVia, h, port)) {
    return $PROXY; // which refuses what is denied
  }
  return "DIRECT";
}

// A host: its name, and for an address its bytes and those of the IPv4 address that it stands for.
function culvertHost(text) {
  var name = String(text).toLowerCase().replace(/^\[/, "").replace(/\]$/, "");
  var bytes, inner, i, t;
  if (name.indexOf(":") < 0) {
    name = name.replace(/\.$/, "");
    bytes = culvertIPv4(name);
    return { name: name, bytes: bytes, inner: bytes };
  }
  bytes = culvertIPv6(name.replace(/%.*$/, ""));
  inner = bytes;
  if (bytes && culvertWithin(bytes, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255], 96)) { // mapped
    bytes = inner = bytes.slice(12);
    return { name: bytes.join("."), bytes: bytes, inner: inner };
  }
  for (i = 0; bytes && i < culvertTranslations.length; i++) {
    t = culvertTranslations[i];
    if (culvertWithin(bytes, t[0], t[1])) {
      inner = bytes.slice(t[2], t[2] + 4);
      break;
    }
  }
  return { name: name, bytes: bytes, inner: inner, v6: true, zone: name.indexOf("%") >= 0 };
}

function culvertIPv4(text) {
  var parts = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text), bytes = [], i;
  for (i = 1; parts && i < 5; i++) {
    if (Number(parts[i]) > 255) {
      return null;
    }
    bytes.push(Number(parts[i]));
  }
  return parts ? bytes : null;
}

function culvertIPv6(text) {
  var v4 = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(text), tail = [], halves, left, right, gap, i;
  if (v4) {
    tail = culvertIPv4(v4[2]);
    if (!tail) {
      return null;
    }
    text = v4[1];
    if (text.slice(-2) !== "::") {
      text = text.slice(0, -1);
    }
  }
  halves = text.split("::");
  left = culvertGroups(halves[0]);
  right = halves.length === 2 ? culvertGroups(halves[1]) : [];
  if (halves.length > 2 || !left || !right) {
    return null;
  }
  right = right.concat(tail);
  gap = 16 - left.length - right.length;
  if (gap < 0 || (halves.length === 1 && gap > 0)) {
    return null;
  }
  for (i = 0; i < gap; i++) {
    left.push(0);
  }
  return left.concat(right);
}

function culvertGroups(text) {
  var parts = text === "" ? [] : text.split(":"), bytes = [], i, n;
  for (i = 0; i < parts.length; i++) {
    if (!/^[0-9a-f]{1,4}$/.test(parts[i])) {
      return null;
    }
    n = parseInt(parts[i], 16);
    bytes.push(n >> 8, n & 255);
  }
  return bytes;
}

// Whether the first bits of an address are those of another.
function culvertWithin(bytes, base, bits) {
  var i, mask;
  for (i = 0; bits > 0; i++, bits -= 8) {
    mask = bits >= 8 ? 255 : (255 << (8 - bits)) & 255;
    if ((bytes[i] & mask) !== (base[i] & mask)) {
      return false;
    }
  }
  return true;
}

function culvertIsLocal(h) {
  var i;
  if (!h.bytes) {
    return /(^|\.)localhost$/.test(h.name) || (" " + culvertLoopbackNames.join(" ") + " ").indexOf(" " + h.name + " ") >= 0;
  }
  for (i = 0; i < culvertLocal.length; i++) {
    if (culvertInBlock(h, culvertLocal[i])) {
      return true;
    }
  }
  return !!h.zone;
}

function culvertInBlock(h, block) {
  return (h.bytes.length === block[2] && culvertWithin(h.bytes, block[0], block[1])) ||
    (h.inner.length === block[2] && culvertWithin(h.inner, block[0], block[1]));
}

function culvertMatch(patterns, h, port) {
  var i, p, hit;
  for (i = 0; i < patterns.length; i++) {
    p = patterns[i];
    if (typeof p[0] !== "string") {
      hit = h.bytes && culvertInBlock(h, [p[0], p[1], p[0].length]);
    } else if (h.v6) {
      hit = p[0] === "*";
    } else {
      hit = culvertGlob(p[0], h.name) || (p[1] && culvertGlob("*." + p[0], h.name));
    }
    if (hit && (p[2] === 0 || p[2] === port)) {
      return true;
    }
  }
  return false;
}

function culvertGlob(glob, text) {
  var g = 0, t = 0, star = -1, from = 0, c;
  while (t < text.length) {
    c = glob.charAt(g);
    if (c === "*") {
      star = g++;
      from = t;
    } else if (c !== "" && (c === "?" || c === text.charAt(t))) {
      g++;
      t++;
    } else if (star >= 0) {
      g = star + 1;
      t = ++from;
    } else {
      return false;
    }
  }
  while (glob.charAt(g) === "*") {
    g++;
  }
  return g === glob.length;
}

function culvertPort(url) {
  var parts = /^([a-z][a-z0-9+.-]*):\/\/(?:[^\/?#]*@)?(?:\[[^\]]*\]|[^:\/?#]*)(?::(\d+))?/i.exec(url);
  var known = { http: 80, ws: 80, https: 443, wss: 443, ftp: 21 };
  if (!parts) {
    return 0;
  }
  return parts[2] ? Number(parts[2]) : known[parts[1].toLowerCase()] || 0;
}
