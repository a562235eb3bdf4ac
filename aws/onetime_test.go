package aws

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const serial = "arn:aws:iam::111122223333:mfa/me"

// coded is a home directory with roles that want a code.
func coded(t *testing.T) (kept string) {
	t.Helper()
	home := isolate(t)
	write(t, filepath.Join(home, "config"), `
[profile mfa]
region = eu-west-1
role_arn = arn:aws:iam::111122223333:role/admin
source_profile = keys
mfa_serial = `+serial+`
[profile long]
region = eu-west-1
role_arn = arn:aws:iam::111122223333:role/admin
source_profile = keys
mfa_serial = `+serial+`
duration_seconds = 7200
[profile behind]
region = eu-west-1
role_arn = arn:aws:iam::111122223333:role/behind
source_profile = mfa
[profile keys]
region = eu-west-1
aws_access_key_id = AKIDEXAMPLE
aws_secret_access_key = example
`)
	return filepath.Join(home, "state", "roles")
}

// asking answers with codes, and counts.
func asking(asked *[]string, codes ...string) AskCode {
	return func(_ context.Context, profile, serial string) (string, error) {
		*asked = append(*asked, profile+" "+serial)
		return codes[min(len(*asked), len(codes))-1], nil
	}
}

func TestRoleWithAOneTimeCodeIsAskedForOnceInItsLife(t *testing.T) {
	for profile, test := range map[string]struct {
		seconds string
		calls   []string
	}{
		"mfa":    {"3600", []string{"AssumeRole arn:aws:iam::111122223333:role/admin"}},
		"long":   {"7200", []string{"AssumeRole arn:aws:iam::111122223333:role/admin"}},
		"behind": {"3600", []string{"AssumeRole arn:aws:iam::111122223333:role/admin", "AssumeRole arn:aws:iam::111122223333:role/behind"}},
	} {
		t.Run(profile, func(t *testing.T) {
			kept := coded(t)
			s := newServices(t, nil)
			t.Setenv("AWS_ENDPOINT_URL", s.URL)
			var asked []string
			o := Options{Profile: profile, Code: asking(&asked, "123456"), KeptRoles: kept}
			if !WantsCode(t.Context(), o) || WantsCode(t.Context(), Options{Profile: "keys"}) {
				t.Error("who wants a code is not known")
			}
			if _, err := Connect(t.Context(), o); err != nil {
				t.Fatal(text(err))
			}
			if got := s.asked(); fmt.Sprint(got) != fmt.Sprint(test.calls) {
				t.Errorf("asked for %q, want %q", got, test.calls)
			}
			form := s.form[0]
			if form["SerialNumber"][0] != serial || form["TokenCode"][0] != "123456" || form["DurationSeconds"][0] != test.seconds {
				t.Errorf("got %v", form)
			}
			o.Code = nil // another process, without a terminal
			if _, err := Connect(t.Context(), o); err != nil {
				t.Error(text(err))
			}
			if len(asked) != 1 || !strings.HasSuffix(asked[0], " "+serial) {
				t.Errorf("asked for %q", asked)
			}
			for _, path := range []string{kept, onlyFile(t, kept)} {
				if mode := must(os.Stat(path)).Mode().Perm(); mode&0o077 != 0 {
					t.Errorf("%s has mode %o", path, mode)
				}
			}
			t.Setenv("AWS_ENDPOINT_URL", newServices(t, nil).URL) // somebody else's STS: not the same session
			_, err := Connect(t.Context(), o)
			_ = mustBe[*MFAError](t, err)
		})
	}
}

func onlyFile(t *testing.T, dir string) string {
	t.Helper()
	found := must(os.ReadDir(dir))
	if len(found) != 1 {
		t.Fatalf("got %d files in %s, want 1", len(found), dir)
	}
	return filepath.Join(dir, found[0].Name())
}

// Sessions that are over are asked for anew and leave nothing behind; so are those that AWS does not take any more, and files
// that hold something else.
func TestKeptSessionThatIsNoGoodIsNotUsed(t *testing.T) {
	for name, spoil := range map[string]func(path string) string{
		"nearly over": func(path string) string {
			role, _ := readKept(path)
			return fmt.Sprintf(`{"accessKeyId":"a","secretAccessKey":"b","sessionToken":"c","expiration":%q,"role":%q}`, time.Now().Add(5*time.Minute).Format(time.RFC3339), role.Role)
		},
		"damaged": func(string) string { return `{"ID":` },
		"empty":   func(string) string { return "" },
	} {
		t.Run(name, func(t *testing.T) {
			kept := coded(t)
			t.Setenv("AWS_ENDPOINT_URL", newServices(t, nil).URL)
			var asked []string
			o := Options{Profile: "mfa", Code: asking(&asked, "123456"), KeptRoles: kept}
			_ = must(Connect(t.Context(), o))
			write(t, onlyFile(t, kept), spoil(onlyFile(t, kept)))
			write(t, filepath.Join(kept, "old.json"), `{"accessKeyId":"a","secretAccessKey":"b","sessionToken":"c","expiration":"2020-01-01T00:00:00Z"}`)
			_ = must(Connect(t.Context(), o))
			if len(asked) != 2 {
				t.Errorf("asked %d times, want 2", len(asked))
			}
			_ = onlyFile(t, kept)
		})
	}
	t.Run("not taken any more", func(t *testing.T) {
		kept := coded(t)
		t.Setenv("AWS_ENDPOINT_URL", newServices(t, map[string]func(http.ResponseWriter, *http.Request){
			"GetCallerIdentity": inQuery(403, "ExpiredToken", "The security token included in the request is expired"),
		}).URL)
		var asked []string
		o := Options{Profile: "mfa", Code: asking(&asked, "123456", "234567"), KeptRoles: kept}
		_ = must(Connect(t.Context(), o))
		c := must(Connect(t.Context(), o)) // with what is kept
		_, _ = c.Identity(t.Context())
		_, err := c.Expires(t.Context())
		if len(asked) != 2 || err != nil {
			t.Errorf("asked %d times, want 2; %v", len(asked), err)
		}
	})
}

func TestOneTimeCodeThatCannotBeHadSaysWhatToDo(t *testing.T) {
	for name, test := range map[string]struct {
		code    AskCode
		answers map[string]func(http.ResponseWriter, *http.Request)
		says    []string
	}{
		"no terminal": {nil, nil, []string{"mfa_serial", "no terminal", "export-credentials --profile mfa", "unset AWS_PROFILE"}},
		"at work":     {func(context.Context, string, string) (string, error) { return "", ErrNoCode }, nil, []string{"has ended", "start culvert again", "duration_seconds of profile mfa"}},
		"not typed":   {func(context.Context, string, string) (string, error) { return "", errors.New("nothing typed") }, nil, []string{"nothing typed"}},
		"a wrong one": {
			asking(&[]string{}, "000000"),
			map[string]func(http.ResponseWriter, *http.Request){"AssumeRole": inQuery(403, "AccessDenied", "MultiFactorAuthentication failed with invalid MFA one time pass code. ")},
			[]string{"AWS does not take the one-time code", "the next code", "mfa_serial of profile mfa"},
		},
		"another role's": {
			asking(&[]string{}, "000000"),
			map[string]func(http.ResponseWriter, *http.Request){"AssumeRole": inQuery(403, "AccessDenied", "User: arn:aws:iam::111122223333:user/me is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::111122223333:role/admin")},
			[]string{"not allowed: sts:AssumeRole"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			kept := coded(t)
			t.Setenv("AWS_ENDPOINT_URL", newServices(t, test.answers).URL)
			_, err := Connect(t.Context(), Options{Profile: "mfa", Code: test.code, KeptRoles: kept})
			if err == nil {
				t.Fatal("got no error")
			}
			mustSay(t, err, test.says...)
			if _, err := os.Stat(kept); err == nil {
				t.Error("something is kept")
			}
		})
	}
}
