//go:build linux

package action_test

import (
	"maps"
	"regexp"
	"strings"
	"testing"
)

// What makes no sense is an error beside the step that names the input, as the workflow wrote it, and no flag; a command that it tells to
// run keeps its own.
func TestUsageErrorsNameTheInput(t *testing.T) {
	for name, c := range map[string]struct {
		inputs map[string]string
		want   string
	}{
		"a value":           {map[string]string{"wait": "soon"}, `"soon" for the input wait: `},
		"a number":          {map[string]string{"remote-port": "many", "forward": ""}, `"many" for the input remote-port: `},
		"a line":            {map[string]string{"warm": "db.internal"}, `"db.internal" for the input warm: `},
		"a switch":          {map[string]string{"share": "true"}, "the input share says something"},
		"two ways":          {map[string]string{"cluster": "automation"}, "leave out the input cluster, the input service, the input task and the input container"},
		"no target":         {map[string]string{"target": ""}, "the input cluster and the input service, or the input target"},
		"a name":            {map[string]string{"saved": "orders"}, `the input saved: "orders" stands for`},
		"a password":        {map[string]string{"proxy-user": "ines"}, "set the input proxy-password, or pass the input proxy-password-file"},
		"a file":            {map[string]string{"config": "/nowhere"}, "a readable file with the input config"},
		"a command to run":  {map[string]string{"profile": "nobody"}, "run: aws configure --profile nobody (or "},
		"what is not there": {map[string]string{"path": "bin/none"}, "the input path names "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inputs := map[string]string{"target": "automation/squid", "forward": "0:3128", "region": "eu-west-1"}
			j := newJob(t, "AWS_ENDPOINT_URL=http://127.0.0.1:9")
			maps.Copy(inputs, c.inputs)
			if inputs["path"] == "" {
				inputs["path"] = program(t)
			}
			main := j.use(inputs).main()
			got := annotation(main.log.String(), "error")
			if main.code == 0 || !strings.Contains(got, c.want) {
				t.Errorf("main ends with %d and %q, want %q", main.code, got, c.want)
			}
			if said := regexp.MustCompile(`(aws|culvert) [a-z][^(]*`).ReplaceAllString(got, ""); strings.Contains(said, "--") {
				t.Errorf("got %q, want no flag in it", got)
			}
			j.nothingIsLeft()
		})
	}
}
