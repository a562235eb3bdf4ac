package main

import (
	"testing"

	"culvert/internal/need"
)

// From culvert demo to the rows of a table in the real psql with two keys: H lists what is private, s runs the program of the row under
// the cursor. Nothing else is typed: the demo has psql begin with "table orders;".
func TestStoryOfADatabaseFromTheScreen(t *testing.T) {
	t.Parallel()
	need.Command(t, "psql")
	d := onDisplay(t, 120, 40, `stty -a >before; culvert demo; code=$?; stty -a >after; echo "left with $code"; exec sleep 600`)
	d.sees(`automation .*active`)
	d.keys("H")
	d.sees(`private hosts`)
	d.keys("s")
	d.sees(`psql on orders-db; its end leads back to culvert`)
	d.sees(`1042 \| Tom Akers +\| headwall, precast`)
	d.sees(`(?m)^orders=>`)
	d.keys("C-c") // is psql's alone, as every key
	d.sees(`(?m)^orders=> \^C\n+orders=>`)
	d.types(`select count(*) from orders \g`)
	d.keys("Enter")
	d.sees(`(?m)^ +5$`)
	d.types(`\q`)
	d.keys("Enter")
	d.sees(`psql on orders-db has ended; its tunnel is closed`)
	d.sees(`private hosts`)
	d.keys("y")
	d.sees(`1 +culvert db line +culvert db orders-db --iam`)
	d.keys("Escape")
	d.sees(`its program`) // the keys of the page
	d.keys("C-c")
	d.sees(`left with 0`)
	if before, after := d.file("before"), d.file("after"); before != after {
		t.Errorf("the terminal was set like this before\n%s\nand afterwards\n%s", before, after)
	}
}
