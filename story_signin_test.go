package main

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"culvert/aws/emulator"
)

// signInProfiles are profiles whose roles want a one-time code, and whose credentials come of single sign-on, a role deep too.
const signInProfiles = `mkdir -p .aws bin; cat >.aws/config <<END
[profile keys]
region = eu-west-1
aws_access_key_id = $KEY
aws_secret_access_key = $SECRET
[profile mfa]
region = eu-west-1
role_arn = arn:aws:iam::111122223333:role/admin
source_profile = keys
mfa_serial = arn:aws:iam::111122223333:mfa/ines
[profile corp]
region = eu-west-1
sso_session = corp
sso_account_id = 111122223333
sso_role_name = Developer
[profile behind]
region = eu-west-1
role_arn = arn:aws:iam::111122223333:role/behind
source_profile = corp
[sso-session corp]
sso_start_url = https://corp.awsapps.com/start
sso_region = eu-west-1
END
cat >bin/aws <<'END'
#!/bin/sh
echo "$*" >>asked
echo 'Waiting for the browser'
read -r answer
[ "$answer" = yes ] || exit 3
mkdir -p .aws/sso/cache
printf '{"accessToken":"%s","expiresAt":"2099-01-01T00:00:00Z"}' "$TOKEN" >.aws/sso/cache/$(printf corp | sha1sum | cut -c1-40).json
END
chmod +x bin/aws; PATH=$PWD/bin:$PATH
`

// signInAccount is the demo's account, as the environment of those profiles.
func signInAccount(t *testing.T) []string {
	t.Helper()
	e, err := emulator.Start(emulator.Options{Fleet: emulator.Unbonded()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	key, secret := e.Credentials()
	token, _ := e.SSO("Developer")
	return []string{"KEY=" + key, "SECRET=" + secret, "TOKEN=" + token, "AWS_ENDPOINT_URL=" + e.URL(), "AWS_EC2_METADATA_DISABLED=true"}
}

// A role with mfa_serial: the code is asked for on the terminal, a second command does not ask again, and without a terminal
// there is a way out.
func TestStoryOfAOneTimeCode(t *testing.T) {
	t.Parallel()
	d := onDisplay(t, 120, 40, signInProfiles+`
culvert list clusters --profile mfa --wait 15 -o json >first; echo "first ended with $?"
culvert list clusters --profile mfa -o json </dev/null >second 2>&1; echo "second ended with $?"
rm -r state/culvert/roles
culvert list clusters --profile mfa </dev/null >third 2>&1; echo "third ended with $?"
culvert up --profile mfa --target automation/squid -L 0:3128 --name coded; echo "up ended with $?"
culvert down coded; echo "down ended with $?"
exec sleep 600`, signInAccount(t)...)
	d.sees(`one-time code of arn:aws:iam::111122223333:mfa/ines for profile mfa:`)
	d.types("12345")
	d.keys("Enter")
	d.sees(`a code has six digits\n.*one-time code of`)
	d.types("123456")
	d.keys("Enter")
	d.sees(`first ended with 0`)
	d.sees(`second ended with 0`)
	d.sees(`third ended with 125`)
	if third := d.file("third"); !strings.Contains(third, "no terminal") || !strings.Contains(third, "export-credentials --profile mfa") {
		t.Errorf("without a terminal: %s", third)
	}
	if first, second := d.file("first"), d.file("second"); !strings.Contains(first, "automation") || first != second {
		t.Errorf("got %s, then %s", first, second)
	}
	d.sees(`third ended with 125\n.*one-time code of`) // of up, whose process in the background has no terminal
	d.types("654321")
	d.keys("Enter")
	d.sees(`up ended with 0`)
	d.sees(`down ended with 0`)
}

// The same on the screen: a dialog asks, says what is no code, and goes away; what AWS does not take is asked for again.
func TestStoryOfAOneTimeCodeOnTheScreen(t *testing.T) {
	t.Parallel()
	for _, size := range [][2]int{{80, 24}, {160, 50}} {
		t.Run(fmt.Sprintf("%dx%d", size[0], size[1]), func(t *testing.T) {
			t.Parallel()
			d := onDisplay(t, size[0], size[1], signInProfiles+`culvert --profile mfa; echo "left with $?"; exec sleep 600`, signInAccount(t)...)
			d.sees(`one-time code`)
			d.sees(`arn:aws:iam::111122223333:mfa/ines`)
			d.types("abc")
			d.keys("Enter")
			d.sees(`six digits`)
			d.keys("BSpace", "BSpace", "BSpace")
			d.types("000000")
			d.keys("Enter")
			d.sees(`AWS does not take the one-time code`)
			d.keys("C-r")
			d.sees(`━ one-time code ━`)
			d.keys("Escape")
			d.sees(`no one-time code was typed`)
			time.Sleep(11 * time.Second) // it is tried again meanwhile, without a question
			if screen := d.screen(); strings.Contains(screen, "━ one-time code ━") {
				t.Errorf("asked again:\n%s", screen)
			}
			d.keys("C-r")
			d.sees(`━ one-time code ━`)
			d.types("123456")
			d.keys("Enter")
			d.sees(`automation .*active`)
			d.keys("C-c")
			d.sees(`left with 0`)
		})
	}
}

// Single sign-on behind a role is over: a key runs the command that opens it again, ctrl+c there leads back, and after it
// the screen goes on.
func TestStoryOfASignInFromTheScreen(t *testing.T) {
	t.Parallel()
	for _, profile := range []string{"corp", "behind"} {
		for _, size := range [][2]int{{80, 24}, {160, 50}} {
			t.Run(fmt.Sprintf("%s %dx%d", profile, size[0], size[1]), func(t *testing.T) {
				t.Parallel()
				d := onDisplay(t, size[0], size[1], signInProfiles+`stty -a >before; culvert --profile `+profile+`; code=$?; stty -a >after; echo "left with $code"; exec sleep 600`, signInAccount(t)...)
				d.sees(`run: aws sso login --profile corp`)
				d.keys("a")
				d.sees(`Waiting for the browser`)
				if got := d.ask("#{alternate_on}"); got != "0" {
					t.Errorf("the screen is still there")
				}
				d.keys("C-z") // which would stop it where nobody could continue it
				d.keys("C-c")
				d.sees(`not signed in: `)
				d.keys("a")
				d.sees(`(?s)(Waiting for the browser.*){2}`) // beside what is left of before
				d.types("no")
				d.keys("Enter")
				d.sees(`not signed in: exit status 3`)
				d.keys("a")
				d.sees(`(?s)(Waiting for the browser.*){3}`)
				d.types("yes")
				d.keys("Enter")
				d.sees(`automation .*active`)
				if asked := d.file("asked"); asked != strings.Repeat("sso login --profile corp\n", 3) {
					t.Errorf("aws was asked for %q", asked)
				}
				d.keys("C-c")
				d.sees(`left with 0`)
				if before, after := d.file("before"), d.file("after"); before != after {
					t.Errorf("the terminal was set like this before\n%s\nand afterwards\n%s", before, after)
				}
			})
		}
	}
	t.Run("no aws command", func(t *testing.T) {
		t.Parallel()
		d := onDisplay(t, 120, 30, signInProfiles+`rm bin/aws; PATH=$PWD/bin:$CULVERTS:/usr/bin:/bin; culvert --profile corp; exec sleep 600`,
			append(signInAccount(t), "CULVERTS="+strings.SplitN(os.Getenv("PATH"), ":", 2)[0])...)
		d.sees(`run: aws sso login --profile corp`)
		d.keys("a")
		d.sees(`aws is not installed here`)
		d.keys("C-c")
	})
}
