package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// initialised is a line that Go's runtime prints for a package with GODEBUG=inittrace=1.
var initialised = regexp.MustCompile(`(?m)^init (\S+) @\S+ ms, \S+ ms clock, (\d+) bytes, \d+ allocs$`)

const sdkServices = "github.com/aws/aws-sdk-go-v2/service/"

// A start pays for the initialisation of every package that is linked, whatever the command needs. What counts here is what
// is allocated by it, as that is the same on every machine, busy or not.
func TestStartPaysForNothingThatItDoesNotNeed(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the program: make test")
	}
	const (
		own   = 20_000    // bytes of a package of this module
		other = 100_000   // of any other one
		all   = 1_300_000 // a third of what the first garbage collection waits for

		size = 40_000_000 // of the program without symbols, as it is released
	)
	program := filepath.Join(t.TempDir(), "culvert")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-ldflags", "-s -w", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("build culvert: %v\n%s", err, out)
	}
	if info, err := os.Stat(program); err != nil || info.Size() > size {
		t.Errorf("the program has %d bytes (%v), want at most %d", info.Size(), err, size)
	}
	cmd := exec.CommandContext(t.Context(), program, "version")
	cmd.Env = append(os.Environ(), "GODEBUG=inittrace=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("run culvert: %v\n%s", err, out)
	}
	lines := initialised.FindAllStringSubmatch(string(out), -1)
	if len(lines) < 50 {
		t.Fatalf("got %d packages, want all that are linked:\n%s", len(lines), out)
	}
	sum := 0
	for _, l := range lines {
		name := l[1]
		bytes, err := strconv.Atoi(l[2])
		if err != nil {
			t.Fatal(err)
		}
		sum += bytes
		limit := other
		if strings.HasPrefix(name, module+"/") || name == "main" {
			limit = own
		}
		if bytes > limit {
			t.Errorf("%s allocates %d bytes at every start, want at most %d: make it when it is needed, or do without it\n"+
				"(the SDK's clients of SSM, ECS and KMS have had schemas of all operations since v1.80.0, v1.99.0 and v1.61.0: go.mod stays below)", name, bytes, limit)
		}
		for _, unwanted := range []string{
			// What lists private destinations is asked by the query client: the modules for it would cost every start.
			sdkServices + "rds", sdkServices + "elasticache", sdkServices + "memorydb", sdkServices + "opensearch", sdkServices + "kafka", sdkServices + "mq",
			sdkServices + "docdb", sdkServices + "redshift", sdkServices + "elasticloadbalancing", sdkServices + "servicediscovery", sdkServices + "eks", sdkServices + "ec2",
			"github.com/russross/blackfriday", "github.com/cpuguy83/go-md2man", "github.com/elazarl/goproxy",
		} {
			if strings.HasPrefix(name, unwanted) {
				t.Errorf("%s is linked again: no command needs it", name)
			}
		}
	}
	if sum > all {
		t.Errorf("all packages together allocate %d bytes at every start, want at most %d", sum, all)
	}
}
