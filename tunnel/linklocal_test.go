package tunnel_test

import (
	"errors"
	"strings"
	"testing"

	"culvert/aws"
	"culvert/tunnel"
)

func TestALinkLocalHostIsKnownHoweverItIsSpelled(t *testing.T) {
	for _, host := range []string{
		"169.254.170.2", "169.254.169.254", "169.254.0.0", "169.254.255.255", "169.254.170.2.",
		"169.254.43522", "169.16689666", "2852039170", "0xa9feaa02", "0XA9FEAA02", "025177525002", "0251.0376.0252.02",
		"0xa9.254.0xaa.2", "169.254.0252.02", "0169.254.170.2", "169.0xfeaa02",
		"::ffff:169.254.170.2", "::ffff:a9fe:aa02", "::a9fe:aa02", "::169.254.170.2", "::ffff:0:169.254.170.2",
		"64:ff9b::a9fe:aa02", "64:FF9B::169.254.170.2", "64:ff9b:1::a9fe:aa02", "2002:a9fe:aa02::1",
		"fe80::1", "FE80::1", "fe80::1%eth0", "febf::1", "fd00:ec2::254", "fd00:0ec2::23", "fd00:ec2:ffff::1",
	} {
		if !(tunnel.Endpoint{Host: host, Port: 80}).LinkLocal() {
			t.Errorf("%s: not known as link-local", host)
		}
	}
	for _, host := range []string{
		"", "localhost", "127.0.0.1", "10.0.3.7", "169.253.255.255", "169.255.0.0", "192.168.169.254", "169.254", "1.169.254.170.2", "2852104705",
		"db.internal", "169.254.170.2.internal", "instance-data", "a9feaa02", "0b10", "0x", "0xa9_feaa02", "4294967296", "169.254.170.256",
		"::1", "::", "fec0::1", "fd00:ec3::1", "fd00::ec2:1", "2001:db8::1", "64:ff9b::a00:1", "::ffff:10.0.3.7", "2002:a00:1::1",
	} {
		if (tunnel.Endpoint{Host: host, Port: 80}).LinkLocal() {
			t.Errorf("%s: taken for link-local", host)
		}
	}
}

// Whatever face it is asked through, the engine opens nothing to such a host on its own.
func TestTheEngineRefusesALinkLocalHost(t *testing.T) {
	engine := tunnel.New(tunnel.Options{})
	defer engine.Close(t.Context())
	// It cannot be listened on: whoever gets that far has let the host pass.
	spec := tunnel.Spec{Target: aws.Target{Cluster: "c"}, Remote: tunnel.Endpoint{Host: "169.254.170.2", Port: 80}, Socket: t.TempDir()}
	_, err := engine.Open(spec)
	refused, ok := errors.AsType[*tunnel.LinkLocalError](err)
	if !ok || refused.Host != "169.254.170.2" || !strings.Contains(refused.Remedy(), "--allow-link-local") {
		t.Fatalf("got %v, want a *LinkLocalError with the way past it", err)
	}
	allowing := tunnel.New(tunnel.Options{AllowLinkLocal: true})
	defer allowing.Close(t.Context())
	if _, err := allowing.Open(spec); err == nil || errors.As(err, new(*tunnel.LinkLocalError)) {
		t.Errorf("allowed: got %v", err)
	}
}
