package headless

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

// fill puts a text into every string of an event, whatever its fields are.
func fill(v reflect.Value, text string) {
	switch v.Kind() { //nolint:exhaustive // numbers say nothing
	case reflect.String:
		v.SetString(text)
	case reflect.Struct:
		for _, field := range v.Fields() { // all are printed
			fill(field, text)
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0), text)
	}
}

// printed is what the printer makes of an event in JSON.
func printed(t *testing.T, event any) string {
	t.Helper()
	var out bytes.Buffer
	p := &printer{outbox: newOutbox(&out), json: true}
	p.event(event)
	if leftOut, err := p.close(); leftOut != 0 || err != nil {
		t.Fatalf("%d lines left out, %v", leftOut, err)
	}
	return out.String()
}

// GitHub's runner takes "##[" anywhere in a line for a command, and there is text of others in nearly every field of an event:
// names of hosts and services, answers of agents and proxies. Who reads the JSON gets them as they are.
func TestNoEventInJSONIsACommandOfTheRunner(t *testing.T) {
	t.Parallel()
	const evil = `##[error]x ##[add-path]/evil \##[##[`
	for _, empty := range []any{stateEvent{}, readyEvent{}, proofEvent{}, warningEvent{}, connectionEvent{}, trafficEvent{}, closedEvent{}} {
		event := reflect.New(reflect.TypeOf(empty)).Elem()
		fill(event, evil)
		line := printed(t, event.Interface())
		if strings.Contains(line, "##[") || strings.Count(line, "\n") != 1 || !strings.HasSuffix(line, "\n") {
			t.Errorf("%T is printed as %q", empty, line)
		}
		var got map[string]any
		if err := json.Unmarshal([]byte(line), &got); err != nil {
			t.Fatalf("%T: %v", empty, err)
		}
		texts := 0
		for name, value := range got {
			if text, is := value.(string); is {
				texts++
				if text != evil {
					t.Errorf("%T: %s is read as %q, want %q", empty, name, text, evil)
				}
			}
		}
		if texts < 2 {
			t.Errorf("%T has %d texts, want those of its head at least", empty, texts)
		}
	}
}

// A tunnel that is opened anew by a saved run goes on under the number after those of before, in every form.
func TestTunnelsAreNumberedAfterThoseOfBefore(t *testing.T) {
	t.Parallel()
	event := closedEvent{head: head{Time: "2026-11-27T08:00:00.000Z", Tunnel: 2}, Reason: "lost"}
	for name, p := range map[string]*printer{"lines": {before: 3}, "people": {before: 3, people: newPeople(false)}} {
		if got := p.text(event); !strings.Contains(got, "tunnel 5 ") {
			t.Errorf("%s: got %q, want tunnel 5", name, got)
		}
	}
}

func TestEvidenceIsSaidInWords(t *testing.T) {
	t.Parallel()
	three, seven := int64(3), int64(7)
	for want, e := range map[string]evidence{
		"a session was opened":      {Proof: provedSession, Answer: &seven},
		"http answered in 7 ms":     {Proof: "http", Answer: &seven},
		"not proved":                {Proof: provedNone},
		"accepted in 3 ms":          {Proof: "tcp", Connect: &three},
		"postgres answered in 7 ms": {Proof: "postgres", Connect: &three, Answer: &seven},
	} {
		if got := e.how(); got != want {
			t.Errorf("%+v: got %q, want %q", e, got, want)
		}
	}
}
