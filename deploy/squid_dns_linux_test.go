package deploy_test

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// zone is what the VPC's DNS says.
func zone() map[string][]string {
	return map[string][]string{
		"orders.internal.":        {orders},
		"corp.example.":           {orders},
		"a.b.corp.example.":       {orders},
		"meta.corp.example.":      {taskMeta},
		"host.corp.example.":      {hostMeta},
		"meta6.corp.example.":     {hostMeta6},
		"both.corp.example.":      {orders, taskMeta},
		"mapped.corp.example.":    {"::ffff:" + taskMeta},
		"self.corp.example.":      {"127.0.0.1"},
		"self6.corp.example.":     {"::1"},
		"zero.corp.example.":      {"0.0.0.0"},
		"evil.example.":           {orders},
		"notcorp.example.":        {orders},
		"orders.internal.evil.":   {orders},
		"3.3.77.10.in-addr.arpa.": {"orders.internal."},
	}
}

// dns answers for the zone, and NXDOMAIN for the rest.
func (n *network) dns(t *testing.T) {
	t.Helper()
	socket, err := net.ListenPacket("udp", resolver+":53")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	t.Cleanup(serving.Wait)
	t.Cleanup(func() { _ = socket.Close() })
	serving.Go(func() {
		query := make([]byte, 1500)
		for {
			size, from, err := socket.ReadFrom(query)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if err := m.Unpack(query[:size]); err != nil || len(m.Questions) != 1 {
				continue
			}
			answer, err := n.answer(m)
			if err == nil {
				_, _ = socket.WriteTo(answer, from)
			}
		}
	})
}

func (n *network) answer(m dnsmessage.Message) ([]byte, error) {
	question := m.Questions[0]
	name := strings.ToLower(question.Name.String())
	n.mu.Lock()
	n.names = append(n.names, name)
	n.mu.Unlock()
	m.Response, m.RecursionAvailable, m.Additionals = true, true, nil
	texts, known := zone()[name]
	if !known {
		m.RCode = dnsmessage.RCodeNameError
		return m.Pack()
	}
	head := dnsmessage.ResourceHeader{Name: question.Name, Class: dnsmessage.ClassINET, TTL: 60}
	for _, text := range texts {
		addr, err := netip.ParseAddr(text)
		switch {
		case err != nil && question.Type == dnsmessage.TypePTR:
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: head, Body: &dnsmessage.PTRResource{PTR: dnsmessage.MustNewName(text)}})
		case err != nil:
			return nil, fmt.Errorf("no address: %w", err)
		case addr.Is4() && question.Type == dnsmessage.TypeA:
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: head, Body: &dnsmessage.AResource{A: addr.As4()}})
		case addr.Is6() && question.Type == dnsmessage.TypeAAAA:
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: head, Body: &dnsmessage.AAAAResource{AAAA: addr.As16()}})
		}
	}
	return m.Pack()
}
