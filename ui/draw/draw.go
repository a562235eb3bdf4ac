// Package draw holds the pencils of a face on a terminal: text that is cut and filled to cells, frames, tables, fields of
// a form, graphs, colours, and keys with the words for them. It knows no tunnel, no account, and no key's meaning. What
// it is given to show must be printable already, see say.Line.
package draw
