package dbclient

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"strings"
	"testing"
	"time"
)

// made is when authorities.sh wrote the file. It is not compared with today: what runs out later is reported, and fails nothing.
const made = "2026-11-27"

func TestAuthoritiesAreThoseOfAWS(t *testing.T) {
	if !strings.Contains(authorities, "on "+made) {
		t.Errorf("the file is not of %s", made)
	}
	day, err := time.Parse(time.DateOnly, made)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for rest := []byte(authorities); ; n++ {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatalf("certificate %d: %v", n, err)
		}
		name := c.Subject.CommonName
		if !c.IsCA || !strings.HasPrefix(name, "Amazon RDS ") && !strings.HasPrefix(name, "Amazon Root CA ") && !strings.HasPrefix(name, "Starfield Services Root Certificate Authority - G2") {
			t.Errorf("%s is no authority of AWS", name)
		}
		if err := c.CheckSignatureFrom(c); err != nil {
			t.Errorf("%s is no root: %v", name, err)
		}
		if c.NotAfter.Before(day.AddDate(5, 0, 0)) {
			t.Errorf("%s ran out on %s, within five years of %s", name, c.NotAfter, made)
		}
		if c.NotAfter.Before(time.Now().AddDate(1, 0, 0)) {
			t.Logf("%s runs out on %s: run authorities.sh", name, c.NotAfter)
		}
	}
	if want := 86; n != want {
		t.Errorf("got %d authorities, want %d: three of each of 27 regions, five of Amazon", n, want)
	}
}

func TestHostsOfRegionsWithoutAuthoritiesAreToldApart(t *testing.T) {
	for host, region := range map[string]string{
		"orders.c9abc.eu-west-1.rds.amazonaws.com":            "",
		"orders.c9abc.il-central-1.rds.amazonaws.com":         "il-central-1",
		"orders.c9abc.us-gov-west-1.rds.amazonaws.com":        "us-gov-west-1",
		"orders.c9abc.cn-north-1.rds.amazonaws.com.cn":        "cn-north-1",
		"orders.cluster-ro-c9.il-central-1.rds.amazonaws.com": "il-central-1",
		"orders.proxy-c9abc.il-central-1.rds.amazonaws.com":   "", // Amazon's own roots
		"orders-db.internal":                                  "",
		"master.orders.abc.euw1.cache.amazonaws.com":          "",
	} {
		missing, _ := errors.AsType[*RegionError](signed(host))
		if got := missing != nil; got != (region != "") || got && missing.Region != region {
			t.Errorf("%s: got %v, want %q", host, missing, region)
		}
	}
}
