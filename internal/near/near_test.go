package near_test

import (
	"slices"
	"testing"

	"culvert/internal/near"
)

func TestTheNearestNamesComeFirst(t *testing.T) {
	names := []string{"warehouse", "squid", "Squid-blue", "reports", "squid"}
	for name, want := range map[string][]string{
		"squib":      {"squid", "Squid-blue"},
		"SQUID":      {"squid", "Squid-blue"},
		"squid-blue": {"Squid-blue", "squid"},
		"blue":       {"Squid-blue", "squid"}, // a part of the other is near
	} {
		if got := near.Names(name, names, 2); !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	if got := near.Names("squid", nil, 2); len(got) != 0 {
		t.Errorf("got %q of no names", got)
	}
}

func TestAnotherWordIsNotNear(t *testing.T) {
	names := []string{"profile", "region", "wait"}
	for name, want := range map[string]string{"regoin": "region", "wiat": "wait", "profil": "profile", "xyzzyplugh": "", "": ""} {
		if got := near.Name(name, names); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}
