package cli

import (
	"testing"

	"culvert/ui/control"
)

func TestTheAccountOfATunnelIsWhatFlagThenEntryThenEnvironmentSay(t *testing.T) {
	file := control.Account{Profile: "mine", Region: "eu-west-1", Role: "arn:mine", Endpoint: "http://127.0.0.1:1"}
	for _, c := range []struct {
		about string
		flags []string
		entry savedTunnel
		want  control.Account
	}{
		{"nothing in the entry", nil, savedTunnel{}, file},
		{"another profile, whose region and role are its own", nil, savedTunnel{profile: "b"}, control.Account{Profile: "b", Endpoint: file.Endpoint}},
		{"the same profile", nil, savedTunnel{profile: "mine"}, file},
		{"a region alone", nil, savedTunnel{region: "us-east-1"}, control.Account{Profile: "mine", Region: "us-east-1", Role: "arn:mine", Endpoint: file.Endpoint}},
		{"all of it", nil, savedTunnel{profile: "b", region: "us-east-1", role: "arn:b"}, control.Account{Profile: "b", Region: "us-east-1", Role: "arn:b", Endpoint: file.Endpoint}},
		{"a flag stands above the profile", []string{"--profile=c"}, savedTunnel{profile: "b"}, control.Account{Profile: "c", Region: "eu-west-1", Role: "arn:mine", Endpoint: file.Endpoint}},
		{"and above the region", []string{"--region=us-east-2"}, savedTunnel{profile: "b", region: "us-east-1"}, control.Account{Profile: "b", Region: "us-east-2", Endpoint: file.Endpoint}},
		{"and above the role", []string{"--role-arn=arn:c"}, savedTunnel{profile: "b", role: "arn:b"}, control.Account{Profile: "b", Role: "arn:c", Endpoint: file.Endpoint}},
		{"the demo is the demo", []string{"--demo"}, savedTunnel{profile: "b", region: "us-east-1"}, file},
	} {
		var s shared
		if err := s.flags().Parse(c.flags); err != nil {
			t.Fatal(err)
		}
		for value, text := range map[*string]string{&s.profile: file.Profile, &s.region: file.Region, &s.role: file.Role, &s.endpoint: file.Endpoint} {
			if *value == "" {
				*value = text // as environment and files complete what no flag says
			}
		}
		if got := s.accountOf(&c.entry); got != c.want {
			t.Errorf("%s: got %+v, want %+v", c.about, got, c.want)
		}
	}
}

// Keys in the environment win over AWS_PROFILE, but not over a profile that is named: the record must not turn one into
// the other.
func TestARecordedAccountIsTheOneThatWasUsed(t *testing.T) {
	for _, name := range []string{"AWS_DEFAULT_PROFILE", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID"} {
		t.Setenv(name, "")
	}
	t.Setenv("AWS_PROFILE", "theirs")
	t.Setenv("AWS_REGION", "eu-west-1")
	if got, want := recorded(control.Account{}), (control.Account{Profile: "theirs", Region: "eu-west-1"}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got, want := recorded(control.Account{Profile: "b", Region: "x"}), (control.Account{Profile: "b", Region: "x"}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
	if got, want := recorded(control.Account{}), (control.Account{Region: "eu-west-1"}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
