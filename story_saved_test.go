package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Somebody looks closely at a service, forwards to it, and keeps that under a name of their own, at two sizes of terminal.
func TestStoryOfDetailsAndSavedTunnels(t *testing.T) {
	t.Parallel()
	for _, size := range [][2]int{{80, 24}, {160, 50}} {
		t.Run(fmt.Sprintf("%dx%d", size[0], size[1]), func(t *testing.T) {
			t.Parallel()
			d := onDisplay(t, size[0], size[1], `printf '# mine\nwait: 30s   # patience\n' >mine.yaml; culvert demo --config mine.yaml; echo "left with $?"; exec sleep 600`)
			d.sees(`automation .*active`)
			d.keys("G", "Enter")
			d.sees(`shop › services`)
			d.keys("G")
			d.sees(`▌web`)
			if size[1] > 24 { // there is room below the rows
				d.sees(`containers +app +ports 3000`)
				d.sees(`network +subnet-\w+ · sg-\w+`)
				d.sees(`events +`)
			}
			d.keys("i")
			d.sees(`details shop/web`)
			d.sees(`env +NODE_ENV ORDERS_URL FEATURES`)
			d.keys("v")
			d.sees(`"taskDefinitionArn": "arn:aws:ecs:eu-west-1:\d+:task-definition/w`)
			d.keys("/")
			d.types("session-sec")
			d.sees(`"--session-secret=…"`)
			d.keys("Enter", "/")
			for range "session-sec" {
				d.keys("BSpace")
			}
			d.types("NODE_ENV")
			d.sees(`"name": "NODE_ENV",`)
			d.sees(`"value": "…"`)
			if screen := d.screen(); strings.Contains(screen, "production") || strings.Contains(screen, "not-for-your-eyes") {
				t.Errorf("a value is shown:\n%s", screen)
			}
			d.keys("Enter", "Escape")
			d.sees(`\[definition\] ━`) // a b right behind would be alt+b
			d.keys("b")
			d.sees(`the demo account has no console`)
			d.keys("Escape")
			d.sees(`shop › services`)

			d.keys("F")
			d.sees(`forward shop/web`)
			d.sees(`local port +\d+ +free`)
			d.forwards()
			d.sees(`127\.0\.0\.1:\d+ .*● open`)
			d.keys("s")
			d.sees(`target +shop/web`)
			d.types("2mine")
			d.keys("Enter")
			d.sees(`saved web2mine in mine\.yaml`)
			d.keys("S")
			d.sees(`▌web2mine`)
			d.keys("e")
			d.sees(`edit web2mine`)
			d.types("2")
			d.keys("BTab") // the groups
			d.types("daily")
			d.keys("Enter")
			d.sees(`saved web2mine2 in mine\.yaml`)
			d.sees(`daily .*web2mine2`)
			body := d.file("mine.yaml")
			for _, line := range []string{"# mine\n", "wait: 30s   # patience\n", "  web2mine2: {target: shop/web, forward: ", "  daily: [web2mine2]\n"} {
				if !strings.Contains(body, line) {
					t.Errorf("the file has no %q:\n%s", line, body)
				}
			}
			if info, err := os.Stat(filepath.Join(d.dir, "mine.yaml")); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("mode %v, %v, want 0600", info.Mode(), err)
			}
			d.keys("G", "C-d")
			d.sees(`delete the saved tunnel web2mine2`)
			d.keys("Enter")
			d.sees(`deleted web2mine2 in mine\.yaml`)
			d.keys("u")
			d.sees(`taken back`)
			if again := d.file("mine.yaml"); again != body {
				t.Errorf("taken back: the file is\n%s\nand was\n%s", again, body)
			}
			d.keys("C-c")
			d.sees(`left with 0`)
		})
	}
}
