package deploy_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"culvert/ui/ci"
)

// instructions are those of a Dockerfile, without comments.
func instructions(t *testing.T, file string) (all []string) {
	t.Helper()
	for line := range strings.Lines(read(t, file)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			all = append(all, line)
		}
	}
	return all
}

// A pipeline's image has what its scripts need, and leaves the runner's shell alone; it is released under the name that culvert ci
// writes.
func TestTheImageForPipelinesIsWhatTheyWant(t *testing.T) {
	t.Chdir("..")
	all := instructions(t, "deploy/image/shell.Dockerfile")
	for _, line := range all {
		if word, _, _ := strings.Cut(line, " "); slices.Contains([]string{"ENTRYPOINT", "USER", "WORKDIR", "VOLUME"}, word) {
			t.Errorf("%s would be in the way of a runner", line)
		}
	}
	text := strings.Join(all, "\n")
	for _, want := range []string{"COPY $TARGETPLATFORM/culvert /usr/bin/culvert", `CMD ["/bin/sh"]`, " bash", " ca-certificates", " curl", " git"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
	plain := strings.Join(instructions(t, "deploy/image/Dockerfile"), "\n")
	if !strings.Contains(plain, "distroless") || !strings.Contains(plain, "ENTRYPOINT") {
		t.Errorf("the other image is not what it was:\n%s", plain)
	}

	var release struct {
		Images []struct {
			Dockerfile   string
			Images, Tags []string
		} `yaml:"dockers_v2"`
	}
	if err := yaml.Unmarshal([]byte(read(t, ".goreleaser.yaml")), &release); err != nil {
		t.Fatal(err)
	}
	file, err := ci.Snippet("gitlab", ci.Job{Repository: "Acme/culvert", Version: "1.2.3", Command: []string{"true"}})
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile(`image: (\S+)`).FindStringSubmatch(file)
	var released []string
	for _, image := range release.Images {
		if image.Dockerfile != "deploy/image/shell.Dockerfile" {
			continue
		}
		for _, tag := range image.Tags {
			name := strings.NewReplacer("{{ tolower .Env.ORIGIN_OWNER }}", "acme", "{{ tolower .Env.ORIGIN_NAME }}", "culvert").Replace(image.Images[0])
			released = append(released, name+":"+strings.ReplaceAll(tag, "{{ .Version }}", "1.2.3"))
		}
	}
	if len(named) < 2 || !slices.Contains(released, named[1]) {
		t.Errorf("culvert ci names %v, the release has %v", named, released)
	}
}
