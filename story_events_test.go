package main

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// schema is as much of a JSON schema as that of the documentation uses.
type schema struct {
	Type       string            `json:"type"`
	Const      any               `json:"const"`
	Enum       []any             `json:"enum"`
	Required   []string          `json:"required"`
	Properties map[string]schema `json:"properties"`
	Items      *schema           `json:"items"`
	OneOf      []schema          `json:"oneOf"`
}

// documented validates a file of events, line by line, with the schema of docs/headless.md. An event may have no field that
// stands nowhere in it.
func documented(ts *testscript.TestScript, _ bool, args []string) {
	text, err := os.ReadFile("docs/headless.md")
	ts.Check(err)
	block := regexp.MustCompile("(?s)```json\n(.*?)```").FindSubmatch(text)
	if block == nil {
		ts.Fatalf("docs/headless.md has no schema")
	}
	var events schema
	ts.Check(json.Unmarshal(block[1], &events))
	n := 0
	for line := range strings.Lines(ts.ReadFile(args[0])) {
		var e map[string]any
		ts.Check(json.Unmarshal([]byte(line), &e))
		if err := events.event(e); err != nil {
			ts.Fatalf("%s: %v", strings.TrimSpace(line), err)
		}
		n++
	}
	if n == 0 {
		ts.Fatalf("%s has no events", args[0])
	}
}

// event validates an object with the one alternative that it is of, and what holds for all.
func (s schema) event(e map[string]any) error {
	at := slices.IndexFunc(s.OneOf, func(one schema) bool { return one.Properties["event"].Const == e["event"] })
	if at < 0 {
		return fmt.Errorf("no such event: %v", e["event"])
	}
	own := s.OneOf[at]
	for field := range e {
		_, common := s.Properties[field]
		if _, known := own.Properties[field]; !known && !common {
			return fmt.Errorf("%s is not in the schema of %v", field, e["event"])
		}
	}
	if err := own.holds("event", e); err != nil {
		return err
	}
	return s.holds("event", e)
}

// holds validates a value.
func (s schema) holds(name string, v any) error {
	is := map[string]bool{}
	switch v := v.(type) {
	case string:
		is["string"] = true
	case bool:
		is["boolean"] = true
	case float64:
		is["number"], is["integer"] = true, v == float64(int64(v))
	case []any:
		is["array"] = true
		for _, item := range v {
			if s.Items != nil {
				if err := s.Items.holds(name+"[]", item); err != nil {
					return err
				}
			}
		}
	case map[string]any:
		is["object"] = true
		for _, field := range s.Required {
			if _, there := v[field]; !there {
				return fmt.Errorf("%s has no %s", name, field)
			}
		}
		for field, of := range s.Properties {
			if value, there := v[field]; there {
				if err := of.holds(field, value); err != nil {
					return err
				}
			}
		}
	}
	switch {
	case s.Type != "" && !is[s.Type]:
		return fmt.Errorf("%s is %v, want a value of type %s", name, v, s.Type)
	case s.Const != nil && s.Const != v, len(s.Enum) > 0 && !slices.Contains(s.Enum, v):
		return fmt.Errorf("%s is %v, want one of %v", name, v, append(s.Enum, s.Const))
	}
	return nil
}
