package emulator

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
)

// Types of columns, by their ids in pg_type, which never change.
const (
	pgInt     = 23
	pgText    = 25
	pgNumeric = 1700
)

type pgColumn struct {
	name string
	kind uint32
}

// pgKnown is the hint of the demo's database about the queries that it understands.
const pgKnown = "It knows: table orders; select * from orders [where id = N] [order by id] [limit N]; select count(*) from orders; " +
	"select 1; select version(); select current_user; \\dt"

// query answers the few queries that are understood, each in one form only, and returns an error for all others.
func (p *postgres) query(text, user string) []byte {
	words := strings.Fields(strings.ToLower(strings.TrimRight(text, "; \t\r\n")))
	asked := strings.Join(words, " ")
	one := func(name string, kind uint32, value string) []byte {
		return pgRows([]pgColumn{{name, kind}}, [][]string{{value}}, "SELECT 1")
	}
	switch {
	case asked == "":
		return pgAppend(nil, 'I', "")
	case asked == "table orders":
		return p.table("", "")
	case strings.HasPrefix(asked, "select * from orders"):
		return p.selected(words[4:])
	case asked == "select count(*) from orders":
		return one("count", pgInt, strconv.Itoa(len(p.shop.all())))
	case asked == "select version()":
		return one("version", pgText, "PostgreSQL "+pgVersion+" (the demo of culvert, which is no PostgreSQL)")
	case asked == "select current_user":
		return one("current_user", pgText, user)
	case len(words) == 2 && words[0] == "select":
		if n, err := strconv.ParseInt(words[1], 10, 32); err == nil {
			return one("?column?", pgInt, strconv.FormatInt(n, 10))
		}
	case isListOfTables(asked):
		columns := []pgColumn{{"Schema", pgText}, {"Name", pgText}, {"Type", pgText}, {"Owner", pgText}}
		return pgRows(columns, [][]string{{"public", "orders", "table", "demo"}}, "SELECT 1")
	}
	return pgError("ERROR", "0A000", "this is the demo's database, which does not know this query", pgKnown)
}

// selected are the orders for what follows "select * from orders".
func (p *postgres) selected(rest []string) []byte {
	var id, limit string
	for len(rest) > 0 {
		switch clause := strings.Join(rest[:min(3, len(rest))], " "); {
		case strings.HasPrefix(clause, "where id =") && len(rest) >= 4:
			id, rest = rest[3], rest[4:]
		case clause == "order by id":
			rest = rest[3:]
		case rest[0] == "limit" && len(rest) >= 2:
			limit, rest = rest[1], rest[2:]
		default:
			return pgError("ERROR", "0A000", "this is the demo's database, which does not know this query", pgKnown)
		}
	}
	return p.table(id, limit)
}

// table are the orders: all, or the one with id, and no more than limit. Both may be empty.
func (p *postgres) table(id, limit string) []byte {
	most := maxPgRows
	if limit != "" {
		n, err := strconv.Atoi(limit)
		if err != nil || n < 0 {
			return pgError("ERROR", "42601", fmt.Sprintf("limit %q is no number", limit), "")
		}
		most = min(most, n)
	}
	var rows [][]string
	for _, o := range p.shop.all() {
		if row := []string{strconv.Itoa(o.ID), o.Customer, o.Item, strconv.FormatFloat(o.Total, 'f', 2, 64), o.Status}; (id == "" || id == row[0]) && len(rows) < most {
			rows = append(rows, row)
		}
	}
	return pgRows([]pgColumn{{"id", pgInt}, {"customer", pgText}, {"item", pgText}, {"total", pgNumeric}, {"status", pgText}}, rows, fmt.Sprintf("SELECT %d", len(rows)))
}

// maxPgRows is how many orders are returned at most, and how many the shop keeps.
const maxPgRows = 1_000

// isListOfTables recognises psql's query for \dt: tables of any name, with their owners.
func isListOfTables(asked string) bool {
	return strings.HasPrefix(asked, `select n.nspname as "schema", c.relname as "name"`) && strings.Contains(asked, "pg_get_userbyid(c.relowner)") &&
		strings.Contains(asked, "c.relkind in ('r','p'") && !strings.Contains(asked, "operator(pg_catalog.~)")
}

// pgRows are rows in text form, with their columns and the tag of the command.
func pgRows(columns []pgColumn, rows [][]string, tag string) []byte {
	var head []byte
	head = binary.BigEndian.AppendUint16(head, uint16(len(columns))) //nolint:gosec // a few
	for _, c := range columns {
		head = append(append(head, c.name...), 0)
		head = append(head, 0, 0, 0, 0, 0, 0) // of no table that a client could ask about
		head = binary.BigEndian.AppendUint32(head, c.kind)
		head = append(head, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0) // any size, no modifier, text format
	}
	all := pgAppend(nil, 'T', string(head))
	for _, row := range rows {
		var data []byte
		data = binary.BigEndian.AppendUint16(data, uint16(len(row))) //nolint:gosec // as above
		for _, cell := range row {
			data = binary.BigEndian.AppendUint32(data, uint32(len(cell))) //nolint:gosec // the shop limits it
			data = append(data, cell...)
		}
		all = pgAppend(all, 'D', string(data))
	}
	return pgAppend(all, 'C', tag+"\x00")
}
