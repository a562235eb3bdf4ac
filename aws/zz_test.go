package aws

import (
	"context"
	"fmt"
	"testing"
)

func TestZZ(t *testing.T) {
	c, err := Connect(context.Background(), Options{Endpoint: "http://127.0.0.1:5999", Region: "eu-west-1", Keys: Keys{ID: "x", Secret: "y"}})
	if err != nil {
		t.Fatal(err)
	}
	h := c.AccountHosts(context.Background())
	for _, x := range h.Hosts {
		fmt.Printf("%+v\n", x)
	}
	for _, g := range h.Gaps {
		fmt.Println("GAP", g)
	}
}
