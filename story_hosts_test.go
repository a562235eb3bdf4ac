package main

import (
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"culvert/aws/emulator"
)

// What can be reached, from the first page on: the list with the ways, a forward through the best one that carries a client, the
// rule that is missing where there is none, a destination found by its name, and a permission that is taken away.
func TestStoryOfThePrivateHosts(t *testing.T) {
	for _, size := range [][2]int{{80, 24}, {160, 50}} {
		t.Run(fmt.Sprintf("%dx%d", size[0], size[1]), func(t *testing.T) {
			t.Parallel()
			account, err := emulator.Start(emulator.Options{Fleet: emulator.Unbonded()})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(account.Close)
			port := calm(t)
			d := onDisplay(t, size[0], size[1], `culvert; echo "left with $?"; exec sleep 600`, account.Env()...)
			d.sees(`▌automation`)
			if n := account.Calls("DescribeDBInstances"); n != 0 {
				t.Errorf("RDS was asked %d times before anybody wanted it", n)
			}
			d.keys("H", "F") // whoever knows the way does not wait
			d.sees(`(?s)forward shop/web.*through +shop/web +admitted.*remote port +5432.*remote host +orders-db\.internal`)
			d.keys("Tab", "Tab", "C-u")
			d.types(port)
			d.sees(`local port +` + port)
			d.keys("Enter")
			d.sees(`127\.0\.0\.1:` + port + ` .*● open`)
			client, err := net.Dial("tcp", "127.0.0.1:"+port)
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			answer := make([]byte, 1)
			_ = client.SetDeadline(time.Now().Add(patience))
			if _, err := client.Write([]byte("\x00\x00\x00\x08\x04\xd2\x16\x2f")); err != nil { // does PostgreSQL speak TLS?
				t.Fatal(err)
			}
			if _, err := io.ReadFull(client, answer); err != nil || answer[0] != 'N' && answer[0] != 'S' {
				t.Fatalf("got %q, %v; want PostgreSQL's yes or no", answer, err)
			}

			d.keys("Tab")
			d.sees(`(?s)┏━ private hosts 4.*▌postgres +orders-db .*● admitted.*orders\.internal .*◐ not checked.*sessions .*✕ no rule`)
			d.keys("j")
			d.sees(`▌http +orders`)
			d.keys("j")
			d.sees(`▌redis`)
			d.keys("F")
			d.sees(`no way to sessions: shop/web is the nearest`)
			d.keys("Enter")
			d.sees(`private host sessions`)
			d.types("/terraform")
			d.sees(`▌ +terraform +resource "aws_vpc_security_group_ingress_rule"`)
			d.keys("C-u")
			d.types("command")
			d.sees(`▌ +command +aws ec2`)
			d.keys("Enter", "y")
			d.sees(`(?s)(sent|copied) .*the command`)
			d.keys("Escape") // one by one: two in a row are another key
			d.sees(`(?s)/command.* F forward .*y copy`)
			d.keys("Escape")
			d.sees(`private host sessions primary ━`)
			d.keys("Escape")
			d.sees(`private hosts 4`)

			d.keys(":")
			d.types("web.internal")
			d.sees(`web/listener +host`)
			d.keys("Enter")
			d.sees(`▌http +web `)

			account.Fault(func(f *emulator.Faults) {
				f.API = []emulator.APIFault{{Action: "rds:DescribeDBInstances", Kind: emulator.Deny}, {Action: "eks:ListClusters", Kind: emulator.Deny}}
			})
			d.keys("C-r")
			d.sees(`(?s)private hosts 3.*Kubernetes endpoints +\(eks:ListClusters\)`)
			d.sees(`rds:DescribeDBInstances`)
			d.keys("q", "q")
			d.sees(`left with 0`)
		})
	}
}
