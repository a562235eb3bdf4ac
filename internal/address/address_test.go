package address_test

import (
	"testing"

	"culvert/internal/address"
)

// tunnel.Endpoint has the table of what is link-local.
func TestLoopbackIsKnownHoweverItIsSpelled(t *testing.T) {
	for _, host := range []string{
		"127.0.0.1", "127.255.255.254", "127.1", "127.0.1", "2130706433", "0x7f000001", "0x7f.1", "0X7F.0.0.1", "017700000001", "0177.0.0.01",
		"127.0.0.1.", "127.0.0.1..", "0.0.0.0", "0", "0x0", "0.0.0.1", "1", "00", "::1", "::", "0:0:0:0:0:0:0:1", "::ffff:127.0.0.1", "::ffff:7f00:1", "::127.0.0.1",
		"::ffff:0:127.0.0.1", "64:ff9b::127.0.0.1", "64:ff9b:1::7f00:1", "2002:7f00:1::1", "::1%lo", "::ffff:0.0.0.0",
	} {
		if addr, ok := address.Parse(host); !ok || !address.Loopback(addr) {
			t.Errorf("%s: not known as loopback (an address: %t)", host, ok)
		}
	}
	for _, host := range []string{
		"126.255.255.255", "128.0.0.1", "10.0.0.1", "16777217", "0x0a000001", "169.254.169.254", "fe80::1", "2001:db8::1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:a00:1::1",
	} {
		if addr, ok := address.Parse(host); !ok || address.Loopback(addr) {
			t.Errorf("%s: taken for loopback (an address: %t)", host, ok)
		}
	}
	for _, host := range []string{"", ".", "localhost", "127.0.0.1.nip.io", "127.0.0.256", "4294967296", "1.2.3.4.5", "0x", "1e1", "127..1", "fe80", "[::1]"} {
		if addr, ok := address.Parse(host); ok {
			t.Errorf("%s: taken for the address %s", host, addr)
		}
	}
}

func TestNamesOfTheMachineItself(t *testing.T) {
	for _, name := range []string{"localhost", "LOCALHOST", "localhost.", "localhost..", "a.localhost", "a.b.LocalHost.", "localhost.localdomain", "localhost6", "ip6-localhost", "ip6-loopback"} {
		if !address.LoopbackName(name) {
			t.Errorf("%s: not known", name)
		}
	}
	for _, name := range []string{"", "notlocalhost", "localhost.example", "localhosts", "ip6-localhost.example"} {
		if address.LoopbackName(name) {
			t.Errorf("%s: taken for this machine", name)
		}
	}
}
