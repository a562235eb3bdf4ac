package need

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

const opentofu = "registry.opentofu.org"

// fakeRegistry serves one version of hashicorp/aws over the provider registry protocol: the archive.
func fakeRegistry(t *testing.T, archive []byte) (from registry, downloads func() int) {
	t.Helper()
	var mu sync.Mutex
	fetched := 0
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	const file = "terraform-provider-aws_6.25.0.zip"
	sum := sha256.Sum256(archive)
	say := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, text)
		}
	}
	platform := fmt.Sprintf(`"os":%q,"arch":%q`, runtime.GOOS, runtime.GOARCH)
	mux.Handle("/.well-known/terraform.json", say(`{"providers.v1":"/v1/providers/"}`))
	mux.Handle("/v1/providers/hashicorp/aws/versions", say(`{"versions":[{"version":"6.25.0","protocols":["6.0"],"platforms":[{`+platform+`}]}]}`))
	mux.Handle("/v1/providers/hashicorp/aws/6.25.0/download/", say(fmt.Sprintf(
		`{"protocols":["6.0"],%s,"filename":%q,"download_url":"%[3]s/zip","shasums_url":"%[3]s/sums","shasums_signature_url":"%[3]s/signature","shasum":%q,"signing_keys":{"gpg_public_keys":[]}}`,
		platform, file, server.URL, hex.EncodeToString(sum[:]))))
	mux.Handle("/sums", say(hex.EncodeToString(sum[:])+"  "+file+"\n"))
	mux.Handle("/signature", say("none"))
	mux.HandleFunc("/zip", func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		fetched++
		mu.Unlock()
		_, _ = w.Write(archive)
	})
	return registry{opentofu, server.URL}, func() int {
		mu.Lock()
		defer mu.Unlock()
		return fetched
	}
}

// The provider comes from the registry where that answers, without the stand-in's override: OpenTofu downloads it.
func TestAJudgeHasTheProviderOfARegistryThatAnswers(t *testing.T) {
	root, tofu := openTofu(t)
	from, downloads := fakeRegistry(t, zipped(t, filepath.Join(standIn(t, root), "terraform-provider-aws")))
	j := judge(t, t.TempDir(), "tofu", tofu, from) // the temporary root has nothing in its cache, and no stand-in
	dir := t.TempDir()
	const module = `terraform {
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.90.0, < 7.0.0"
    }
  }
}
resource "aws_ecs_cluster" "this" {
  NAME = "x"
}
`
	write := func(argument string) {
		if err := os.WriteFile(filepath.Join(dir, "main.tf"), []byte(strings.Replace(module, "NAME", argument, 1)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("name")
	if _, err := j.Try(t, dir, "validate"); err == nil {
		t.Error("the module is valid before there is a provider: it comes from elsewhere")
	}
	j.Prepare(t, dir)
	if got := downloads(); got != 1 {
		t.Errorf("the provider was downloaded %d times, want once", got)
	}
	j.Run(t, dir, "validate")
	write("label")
	if said, err := j.Try(t, dir, "validate"); err == nil {
		t.Errorf("an argument that does not exist is valid:\n%s", said)
	}
}

// What is no registry, or a slow one, is out of reach; nothing waits for it for longer than its patience.
func TestARegistryThatDoesNotAnswerIsOutOfReach(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	hold := make(chan struct{})
	for name, handler := range map[string]http.HandlerFunc{
		"login page": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>please log in</html>") },
		"forbidden":  func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) },
		"other platforms": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"providers.v1":"/v1/","versions":[{"version":"6.25.0","platforms":[{"os":"plan9","arch":"mips"}]}]}`)
		},
		"silence": func(http.ResponseWriter, *http.Request) { <-hold },
	} {
		server := httptest.NewServer(handler)
		t.Cleanup(server.Close)
		started := time.Now()
		if err := (registry{opentofu, server.URL}).reached(t.Context()); err == nil {
			t.Errorf("%s: it is in reach", name)
		}
		if took := time.Since(started); took > registryPatience+2*time.Second {
			t.Errorf("%s: it took %s", name, took)
		}
	}
	close(hold)
	root, err := moduleRoot()
	if err != nil {
		t.Fatal(err)
	}
	j := judge(t, root, "tofu", "tofu", registry{opentofu, "http://" + FreeAddress(t)})
	settings, err := os.ReadFile(j.config)
	if err != nil || j.real || !strings.Contains(string(settings), `"`+opentofu+`/hashicorp/aws" = `) {
		t.Errorf("without a registry: real %t, %v, settings\n%s", j.real, err, settings)
	}
}

// zipped is an archive of a provider, as registries have them.
func zipped(t *testing.T, path string) []byte {
	t.Helper()
	program, err := os.ReadFile(filepath.Clean(path))
	if err != nil {
		t.Fatal(err)
	}
	var archive bytes.Buffer
	w := zip.NewWriter(&archive)
	head := &zip.FileHeader{Name: "terraform-provider-aws_v6.25.0", Method: zip.Store}
	head.SetMode(0o755)
	part, err := w.CreateHeader(head)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := part.Write(program); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return archive.Bytes()
}
