package aws

import (
	"strings"
	"testing"
)

func TestAnAccountsOwnDocument(t *testing.T) {
	isolate(t)
	f := newFake(t, map[string]answer{"StartSession": func(map[string]any) any {
		return refusal{Code: "InvalidParameters", Message: `Parameter "host" is not defined in document Acme-Port.`}
	}})
	c, err := f.connectEnv(t, Options{Document: "Acme-Port"})
	if err != nil {
		t.Fatal(text(err))
	}
	_, err = c.StartSession(t.Context(), squid(), c.Document(PortForwardTo("db.internal", 5432)))
	if e := mustBe[*DocumentError](t, err); !e.Unfit {
		t.Errorf("got %v, want it told that the document does not fit", e)
	}
	mustSay(t, err, "Acme-Port does not take", `"host" is not defined`, "portNumber, localPortNumber and host", "get-document --name Acme-Port")
	if name := f.calls("StartSession")[0]["DocumentName"]; name != "Acme-Port" {
		t.Errorf("the session was started with %v", name)
	}
	if line := c.Shell().Culvert("list"); !strings.Contains(line, "--document Acme-Port") {
		t.Errorf("a command to paste does not name the document: %s", line)
	}
	plain := f.connect(t)
	_, err = plain.StartSession(t.Context(), squid(), plain.Document(PortForward(80)))
	_ = mustBe[*FaultError](t, err) // AWS's own documents take what they are given
}

func TestNamesOfDocuments(t *testing.T) {
	t.Parallel()
	for name, good := range map[string]bool{
		"Acme-PortForward": true, "abc": true, "a.b_c-d": true, "arn:aws:ssm:eu-west-1:111122223333:document/Acme-Port": true,
		"": false, "ab": false, "a b": false, "a\nb": false, "$(id)": false, "ä-document": false, strings.Repeat("a", 129): false,
		"arn:aws:iam::111122223333:role/x": false,
	} {
		if err := CheckDocument(name); (err == nil) != good {
			t.Errorf("%q: got %v, want good %t", name, err, good)
		}
	}
}
